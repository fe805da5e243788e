"""PyAV: H.264 for browsers, rotation, audio, and the same pixels as OpenCV."""

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


def with_tone(path: Path, codec: str, seconds: float = 3.0) -> Path:
    """Write a video with a test tone."""
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("mpeg4", rate=10), output.add_stream(codec, rate=44100)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio.layout = "mono"
        for k in range(int(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(speckled(k), format="rgb24")
            frame.pts = k
            output.mux(video.encode(frame))
            tone = np.sin(np.arange(4410) * 0.06).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, k * 4410
            output.mux(audio.encode(frame))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


def copied(source: Path, target: Path, frames: int | None = None) -> VideoWriter:
    writer = VideoWriter(target, 10, audio=source)
    with Video(source) as video:
        for number, seconds, pixels in video.frames():
            if frames is None or number < frames:
                writer.write(pixels, seconds)
    writer.finish()
    return writer


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov"])
def test_both_libraries_return_the_same_frames(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a{suffix}", map(speckled, range(6)))
    with Video(path, library="pyav") as ours, Video(path, library="opencv") as theirs:
        assert (ours.rate, ours.expected) == (theirs.rate, theirs.expected)
        assert ours.duration == pytest.approx(theirs.duration)
        for one, other in zip(ours.frames(), theirs.frames(), strict=True):
            assert (one[0], round(one[1], 6)) == (other[0], round(other[1], 6))
            assert np.array_equal(one[2], other[2])


def test_written_videos_play_in_browsers(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", map(speckled, range(6)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        expected = "h264" if {"libx264", "libopenh264"} & av.codecs_available else "mpeg4"
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == (expected, "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index comes first"


@pytest.mark.parametrize("audio", [True, False])
def test_avi_note_depends_on_the_source_having_audio(tmp_path: Path, audio: bool) -> None:
    source = with_tone(tmp_path / "a.mp4", "aac") if audio else film(tmp_path / "a.mp4", [speckled(1)] * 3)
    writer = VideoWriter(tmp_path / "b.avi", 10, audio=source)
    for k in range(3):
        writer.write(speckled(k))
    writer.finish()
    assert writer.note == ("its audio is left out" if audio else "")


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    plain, rotated = film(tmp_path / "plain.mp4", [speckled(1)] * 3), tmp_path / "rotated.mp4"
    with av.open(str(plain)) as source, av.open(str(rotated), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with Video(plain) as video:
        expected = [np.rot90(pixels, degrees // 90) for _, _, pixels in video.frames()]
    for library in ("pyav", "opencv"):
        with Video(rotated, library=library) as video:
            for (_, _, pixels), upright in zip(video.frames(), expected, strict=True):
                assert np.array_equal(pixels, upright)


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "source"), [("aac", ".mp4"), ("aac", ".ts"), ("mp2", ".mpg"), ("aac", ".mkv")])
def test_audio_is_copied(tmp_path: Path, codec: str, source: str) -> None:
    path = with_tone(tmp_path / f"a{source}", codec)
    assert copied(path, tmp_path / "copy.mp4").note == ""
    with av.open(str(path)) as before, av.open(str(tmp_path / "copy.mp4")) as after:
        samples = [np.concatenate([f.to_ndarray()[0] / 1.0 for f in c.decode(audio=0)]) for c in (before, after)]
    assert abs(len(samples[0]) - len(samples[1])) <= 3 * 1152
    loudness = [audio[20000:60000].std() / audio.max() for audio in samples]  # decoders give floats or integers
    assert loudness[0] > 0.5
    assert loudness[1] == pytest.approx(loudness[0], rel=0.02)


def test_audio_ends_with_the_frames(tmp_path: Path) -> None:
    copied(with_tone(tmp_path / "a.mp4", "aac"), tmp_path / "copy.mp4", frames=10)
    with av.open(str(tmp_path / "copy.mp4")) as container:
        audio = container.streams.audio[0]
        assert float(audio.duration * audio.time_base) == pytest.approx(1.0, abs=0.1)


def test_opencv_note_on_audio(tmp_path: Path) -> None:
    silent = film(tmp_path / "silent.mp4", map(shade, (10, 200)))
    loud = with_tone(tmp_path / "loud.mp4", "aac", seconds=0.5)
    assert copied(silent, tmp_path / "a.avi").note == ""
    assert copied(loud, tmp_path / "b.avi").note == "its audio is left out"
    writer = VideoWriter(tmp_path / "c.mp4", 10, audio=silent, library="opencv")
    writer.write(shade(10), 0.0)
    writer.finish()
    assert writer.note == "audio, if it has any, is left out"


def test_unsupported_audio_is_noted(tmp_path: Path) -> None:
    path = with_tone(tmp_path / "a.mov", "pcm_s8")
    writer = copied(path, tmp_path / "copy.mp4")
    assert "pcm_s8" in writer.note
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert (len(container.streams.video), len(container.streams.audio)) == (1, 0)
