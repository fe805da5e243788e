"""What PyAV alone can: H.264 for browsers, pictures turned upright, sound; and the same pixels as OpenCV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fercli.videos import Video, VideoWriter
from tests.helpers.videos import film, shade

av = pytest.importorskip("av")


def speckled(seed: int) -> np.ndarray:
    pixels = shade(90)
    pixels[8:24, 8:24] = np.random.default_rng(seed).integers(0, 255, 3)
    pixels[30:40, 40:60] = (20, 200, 40)
    return pixels


def sounding(path: Path, codec: str, seconds: float = 3.0) -> Path:
    """Write a video with a tone."""
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("mpeg4", rate=10), output.add_stream(codec, rate=44100)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio.layout = "mono"
        for k in range(int(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(speckled(k), format="rgb24")
            frame.pts = k
            output.mux(video.encode(frame))
            tone = np.sin(np.arange(4410) * 0.06).astype(np.float32)[None]
            sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 44100, k * 4410
            output.mux(audio.encode(sound))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


def drawn(source: Path, target: Path, frames: int | None = None) -> VideoWriter:
    writer = VideoWriter(target, 10, sound=source)
    with Video(source) as video:
        for number, seconds, pixels in video.frames():
            if frames is None or number < frames:
                writer.write(pixels, seconds)
    writer.finish()
    return writer


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov"])
def test_both_libraries_read_the_same(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a{suffix}", map(speckled, range(6)))
    with Video(path, by="pyav") as ours, Video(path, by="opencv") as theirs:
        assert (ours.rate, ours.expected) == (theirs.rate, theirs.expected)
        assert ours.duration == pytest.approx(theirs.duration)
        for one, other in zip(ours.frames(), theirs.frames(), strict=True):
            assert (one[0], round(one[1], 6)) == (other[0], round(other[1], 6))
            assert np.array_equal(one[2], other[2])


def test_what_is_written_plays_in_browsers(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", map(speckled, range(6)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        wanted = "h264" if {"libx264", "libopenh264"} & av.codecs_available else "mpeg4"
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == (wanted, "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index stands first"


@pytest.mark.parametrize("sound", [True, False])
def test_sound_is_said_to_be_left_out_where_there_is_some(tmp_path: Path, sound: bool) -> None:
    source = sounding(tmp_path / "a.mp4", "aac") if sound else film(tmp_path / "a.mp4", [speckled(1)] * 3)
    writer = VideoWriter(tmp_path / "b.avi", 10, sound=source)
    for k in range(3):
        writer.write(speckled(k))
    writer.finish()
    assert writer.note == ("its sound is left out" if sound else "")


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_are_turned_upright(tmp_path: Path, degrees: int) -> None:
    plain, turned = film(tmp_path / "plain.mp4", [speckled(1)] * 3), tmp_path / "turned.mp4"
    with av.open(str(plain)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with Video(plain) as video:
        wanted = [np.rot90(pixels, degrees // 90) for _, _, pixels in video.frames()]
    for by in ("pyav", "opencv"):
        with Video(turned, by=by) as video:
            for (_, _, pixels), upright in zip(video.frames(), wanted, strict=True):
                assert np.array_equal(pixels, upright)


@pytest.mark.parametrize(("codec", "source"), [("aac", ".mp4"), ("aac", ".ts"), ("mp2", ".mpg"), ("aac", ".mkv")])
def test_sound_is_copied(tmp_path: Path, codec: str, source: str) -> None:
    path = sounding(tmp_path / f"a{source}", codec)
    assert drawn(path, tmp_path / "drawn.mp4").note == ""
    with av.open(str(path)) as before, av.open(str(tmp_path / "drawn.mp4")) as after:
        heard = [np.concatenate([f.to_ndarray()[0] / 1.0 for f in c.decode(audio=0)]) for c in (before, after)]
    assert abs(len(heard[0]) - len(heard[1])) <= 3 * 1152
    loudness = [sound[20000:60000].std() / sound.max() for sound in heard]  # decoders give floats or integers
    assert loudness[0] > 0.5
    assert loudness[1] == pytest.approx(loudness[0], rel=0.02)


def test_sound_ends_with_the_pictures(tmp_path: Path) -> None:
    drawn(sounding(tmp_path / "a.mp4", "aac"), tmp_path / "drawn.mp4", frames=10)
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        audio = container.streams.audio[0]
        assert float(audio.duration * audio.time_base) == pytest.approx(1.0, abs=0.1)


def test_sound_that_opencv_leaves_out_is_told_where_there_is_any(tmp_path: Path) -> None:
    silent = film(tmp_path / "silent.mp4", map(shade, (10, 200)))
    loud = sounding(tmp_path / "loud.mp4", "aac", seconds=0.5)
    assert drawn(silent, tmp_path / "a.avi").note == ""
    assert drawn(loud, tmp_path / "b.avi").note == "its sound is left out"
    writer = VideoWriter(tmp_path / "c.mp4", 10, sound=silent, by="opencv")
    writer.write(shade(10), 0.0)
    writer.finish()
    assert writer.note == "sound, if it has any, is left out"


def test_sound_that_does_not_fit_is_told(tmp_path: Path) -> None:
    path = sounding(tmp_path / "a.mov", "pcm_s8")
    writer = drawn(path, tmp_path / "drawn.mp4")
    assert "pcm_s8" in writer.note
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        assert (len(container.streams.video), len(container.streams.audio)) == (1, 0)
