"""Videos: frames, times and colours survive a round trip; invalid files are errors of one line."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fercli.errors import DataError, FerError, ImageError, UsageError
from fercli.videos import Backend, Every, Video, VideoWriter, has_comment, is_video, reading, writing
from tests.helpers.videos import film, shade

SHADES = [40, 90, 140, 190, 240]
BACKENDS = [pytest.param("pyav", marks=pytest.mark.skipif(find_spec("av") is None, reason="no PyAV")), "opencv"]


@pytest.fixture(params=BACKENDS, autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Run every test with each library."""
    for module in (reading, writing):
        monkeypatch.setattr(module, "backend", lambda: request.param)
    return request.param


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov"])
def test_round_trip_keeps_order_times_and_colours(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a{suffix}", map(shade, SHADES))
    with Video(path) as video:
        assert video.rate == pytest.approx(10)
        assert video.expected == 5
        found = list(video.frames())
    assert [number for number, _, _ in found] == [0, 1, 2, 3, 4]
    assert [seconds for _, seconds, _ in found] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    for (_, _, pixels), value in zip(found, SHADES, strict=True):
        assert pixels.shape == (48, 64, 3)
        assert pixels.dtype == np.uint8
        assert np.abs(pixels.reshape(-1, 3).mean(0) - (value, value // 2, 0)).max() < 8


def test_interval_in_frames(tmp_path: Path) -> None:
    with Video(film(tmp_path / "a.avi", map(shade, SHADES))) as video:
        assert [(number, round(seconds, 3)) for number, seconds, _ in video.frames(2)] == [(0, 0.0), (2, 0.2), (4, 0.4)]


def test_names_are_not_patterns_or_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "plain.avi", map(shade, SHADES))
    for name in ("a%03d.avi", "concat:b.avi", "-c 'd'\n.avi", "ünïcode 笑.avi", os.fsdecode(b"b\xff.avi")):
        (tmp_path / name).write_bytes((tmp_path / "plain.avi").read_bytes())
        with Video(Path(name)) as video:
            assert len(list(video.frames())) == 5


def test_invalid_files_are_errors(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", map(shade, SHADES)).read_bytes()
    bad = {
        "missing.mp4": None,
        "empty.mp4": b"",
        "text.mp4": b"not a video at all\n" * 20,
        "cut.mp4": whole[:100],
        "list.mp4": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
    }
    for name, data in bad.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name):
            Video(tmp_path / name)


def test_video_without_frames_is_an_error(tmp_path: Path) -> None:
    data = film(tmp_path / "whole.avi", map(shade, SHADES)).read_bytes()
    start = data.index(b"movi") + 4
    (tmp_path / "cut.avi").write_bytes(data[:start])
    with pytest.raises(DataError, match=r"cut\.avi"), Video(tmp_path / "cut.avi") as video:
        list(video.frames())


def test_missing_webcam_is_an_error() -> None:
    with pytest.raises(DataError, match=r"webcam 97: .*webcam:1"):
        Video(97)


def test_writer_leaves_nothing_until_finished(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", 10)
    writer.write(shade(90))
    writer.write(shade(90))
    assert not (tmp_path / "a.mp4").exists()
    assert len(list(tmp_path.iterdir())) == 1
    writer.discard()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"\.mp4, "):
        VideoWriter(tmp_path / "a.gif", 10)


def test_is_video() -> None:
    assert is_video(Path("a.MP4"))
    assert not is_video(Path("a.png"))


@pytest.mark.parametrize(
    ("rate", "every", "expected"),
    [(10.0, "1s", [0, 10, 20]), (10.0, "0.5s", [0, 5, 10, 15, 20]),
     (10.0, "250ms", [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]),
     (10.0, "10f", [0, 10, 20]), (10.0, "1ms", list(range(25))), (10.0, "10s", [0]),
     (29.97, "0.2s", [0, 6, 12, 18, 24])],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_interval_in_seconds(tmp_path: Path, suffix: str, rate: float, every: str, expected: list[int]) -> None:
    path = film(tmp_path / f"a{suffix}", (shade(10 * k) for k in range(25)), rate)
    with Video(path) as video:
        assert [number for number, _, _ in video.frames(Every.parse(every))] == expected


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_seek(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a{suffix}", (shade(10 * k) for k in range(25)))
    with Video(path) as video:
        expected = {number: pixels for number, _, pixels in video.frames()}
    with Video(path) as video:
        for number in (20, 3, 0, 24):
            pixels = video.frame(number)
            assert pixels is not None
            assert np.array_equal(pixels, expected[number])


def test_reasons_for_unreadable_videos(tmp_path: Path) -> None:
    files = {"empty.mp4": b"", "not a video.mp4": b"no video\n" * 30}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageError) as raised:
            Video(tmp_path / name)
        assert raised.value.reason == name.removesuffix(".mp4")


# --- unreadable files ---


def test_pipes_and_devices_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    for path, what in ((tmp_path / "a.mp4", "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "directory")):
        with pytest.raises(ImageError, match=what):
            Video(path)


@pytest.mark.parametrize("start", ["#EXTM3U\n", "ffconcat version 1.0\nfile whole.mp4\n", "<?xml?><MPD>", "v=0\n"])
def test_playlists_are_rejected(tmp_path: Path, start: str) -> None:
    film(tmp_path / "whole.mp4", map(shade, SHADES))
    (tmp_path / "list.mp4").write_text(start + "#" * 100)
    with pytest.raises(ImageError, match="playlist"):
        Video(tmp_path / "list.mp4")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_truncated_video_is_read_to_its_end_and_reported(tmp_path: Path, share: float) -> None:
    whole = film(tmp_path / "whole.avi", (noise(k) for k in range(40)))
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    with Video(tmp_path / "cut.avi") as video:
        assert 40 * share - 8 < len(list(video.frames())) < 40 * share + 2
        assert f"of {video.expected}, second" in video.cut_off
        assert video.cut_off.startswith(f"{tmp_path / 'cut.avi'}: ends at frame ")
    with Video(whole) as video:
        assert len(list(video.frames())) == 40
        assert video.cut_off == ""


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), suffix=st.sampled_from([".mp4", ".avi"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_raise_only_image_errors(tmp_path: Path, seed: int, suffix: str) -> None:
    if not (whole := tmp_path / f"whole{suffix}").exists():
        film(whole, (noise(k) for k in range(6)))
    random, data = np.random.default_rng(seed), bytearray(whole.read_bytes())
    for place in random.integers(0, len(data), random.integers(1, 12)):
        data[place] = random.integers(256)
    (tmp_path / f"bad{suffix}").write_bytes(data[: random.integers(1, len(data) + 1)])
    # No other exception than ImageError, whose message is one line.
    with suppress(ImageError), Video(tmp_path / f"bad{suffix}") as video:
        for _, seconds, pixels in islice(video.frames(), 50):
            assert seconds >= 0
            assert pixels.dtype == np.uint8


# --- times, sizes, names, comments ---


def noise(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


IRREGULAR = [0.0, 0.1, 0.2, 0.3, 0.8, 1.3, 2.6]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi"])
def test_irregular_times_are_kept(tmp_path: Path, library: Backend, suffix: str) -> None:
    path = film(tmp_path / f"a{suffix}", (shade(30 * k) for k in range(7)), times=IRREGULAR)
    with Video(path) as video:
        assert video.duration == pytest.approx(2.7, abs=0.01)
        found = [(seconds, round(pixels[..., 0].mean() / 30)) for _, seconds, pixels in video.frames()]
    if library == "pyav" and suffix != ".avi":
        assert [seconds for seconds, _ in found] == pytest.approx(IRREGULAR, abs=1e-4)
        assert [value for _, value in found] == list(range(7))
        return
    # Repeated at a constant rate: each is shown from its time on.
    for seconds, value in found:
        assert value == max(k for k, time in enumerate(IRREGULAR) if time <= seconds + 0.01)
    assert len(found) == 27


def test_times_may_jump_or_decrease(tmp_path: Path, library: Backend) -> None:
    times = [0.0, 0.1, 0.05, 0.05, 5000.0, 0.3, 5000.2]
    path = film(tmp_path / "a.mp4", map(shade, [10, 40, 80, 120, 160, 200, 240]), rate=2.0, times=times)
    with Video(path) as video:
        assert 5 <= len(list(video.frames())) <= 1300
        assert video.duration < 5002


@pytest.mark.parametrize("size", [(48, 64), (47, 65), (48, 63), (33, 64)])
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    path = film(tmp_path / f"a{suffix}", (shade(value, *size) for value in SHADES))
    with Video(path) as video:
        found = [pixels for _, _, pixels in video.frames()]
    assert len(found) == 5
    height, width = found[0].shape[:2]
    assert (0 <= height - size[0] <= 1, 0 <= width - size[1] <= 1) == (True, True)
    assert abs(int(found[0][-1, -1, 0]) - SHADES[0]) < 12


def test_frame_of_another_size_is_fitted(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [shade(200), shade(200, 48, 32), shade(200, 96, 128)])
    with Video(path) as video:
        found = [pixels for _, _, pixels in video.frames()]
    assert [pixels.shape for pixels in found] == [(48, 64, 3)] * 3
    assert found[1][24, 4, 0] < 40  # a bar
    assert found[1][24, 32, 0] > 170
    assert found[2].min(axis=(0, 1))[0] > 170


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = film(tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"b\xff.mp4"), map(shade, SHADES))
    with Video(path) as video:
        assert len(list(video.frames())) == 5


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_comment_is_found_and_harmless(tmp_path: Path, suffix: str) -> None:
    writer = VideoWriter(tmp_path / f"a{suffix}", 10, comment="made here")
    for value in SHADES:
        writer.write(shade(value))
    writer.finish()
    assert has_comment(tmp_path / f"a{suffix}", "made here")
    assert not has_comment(tmp_path / f"a{suffix}", "made there")
    assert not has_comment(film(tmp_path / f"b{suffix}", map(shade, SHADES)), "made here")
    assert not has_comment(tmp_path / f"none{suffix}", "made here")
    with Video(tmp_path / f"a{suffix}") as video:
        assert len(list(video.frames())) == 5
        assert video.cut_off == ""


def test_unwritable_path_is_an_error(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "none" / "a.mp4", 10)
    writer.write(shade(10))  # held back until the next frame
    with pytest.raises(FerError, match=r"a\.mp4: cannot be written"):
        writer.write(shade(40))
