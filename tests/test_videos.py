"""Videos: frames, times and colours come back as they were written; what is none is told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from filming import film, shade
from hypothesis import given
from hypothesis import strategies as st

from fercli.errors import DataError, ImageError, UsageError
from fercli.videos import Every, Video, VideoWriter, is_video

SHADES = [40, 90, 140, 190, 240]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov"])
def test_frames_come_back_in_order_with_times_and_colours(tmp_path: Path, suffix: str) -> None:
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


def test_every_takes_each_nth_frame(tmp_path: Path) -> None:
    with Video(film(tmp_path / "a.avi", map(shade, SHADES))) as video:
        assert [(number, round(seconds, 3)) for number, seconds, _ in video.frames(2)] == [(0, 0.0), (2, 0.2), (4, 0.4)]


def test_a_name_is_a_name_and_no_pattern_or_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a%03d.avi", "concat:b.avi", "-c 'd'\n.avi", "ünïcode 笑.avi"):
        film(tmp_path / "plain.avi", map(shade, SHADES)).rename(tmp_path / name)
        with Video(Path(name)) as video:
            assert len(list(video.frames())) == 5


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", map(shade, SHADES)).read_bytes()
    bad = {
        "missing.mp4": None,
        "empty.mp4": b"",
        "text.mp4": b"not a video at all\n" * 20,
        "cut.mp4": whole[: len(whole) // 2],
        "list.mp4": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
    }
    for name, data in bad.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name):
            Video(tmp_path / name)


def test_a_video_without_a_frame_is_told(tmp_path: Path) -> None:
    data = film(tmp_path / "whole.avi", map(shade, SHADES)).read_bytes()
    start = data.index(b"movi") + 4
    (tmp_path / "cut.avi").write_bytes(data[:start])
    with pytest.raises(DataError, match=r"cut\.avi"), Video(tmp_path / "cut.avi") as video:
        list(video.frames())


def test_a_webcam_that_is_not_there_is_told() -> None:
    with pytest.raises(DataError, match=r"webcam 97: .*webcam:1"):
        Video(97)


def test_a_writer_leaves_nothing_until_it_has_finished(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", 10)
    writer.write(shade(90))
    assert not (tmp_path / "a.mp4").exists()
    writer.discard()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"\.mp4, "):
        VideoWriter(tmp_path / "a.gif", 10)


def test_endings() -> None:
    assert is_video(Path("a.MP4"))
    assert not is_video(Path("a.png"))


@pytest.mark.parametrize(
    ("text", "wanted", "written"),
    [
        ("1s", Every(seconds=1.0), "1s"),
        ("0.5s", Every(seconds=0.5), "0.5s"),
        ("500ms", Every(seconds=0.5), "0.5s"),
        (" 10 ", Every(10), "10f"),
        ("10f", Every(10), "10f"),
    ],
)
def test_distances_of_frames(text: str, wanted: Every, written: str) -> None:
    assert Every.parse(text) == wanted
    assert str(wanted) == written


@pytest.mark.parametrize(
    "text",
    ["", "0", "0f", "0s", "0.0s", "-1s", "-3", "abc", "1.5", "1.5f", "1e3s", "s", "1 s", "1min", "nan", "inf", "٣s"]
)  # fmt: skip
def test_what_is_no_distance_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wanted as"):
        Every.parse(text)


@given(st.one_of(st.integers(1, 10**9 - 1).map(Every), st.integers(1, 10**9).map(lambda n: Every(seconds=n / 1000))))
def test_a_distance_is_read_as_it_is_written(every: Every) -> None:
    assert Every.parse(str(every)) == every


@given(st.text(max_size=12))
def test_any_other_text_is_refused_or_read(text: str) -> None:
    try:
        every = Every.parse(text)
    except ValueError:
        return
    assert every.frames >= 1
    assert every.seconds >= 0
    assert Every.parse(str(every)) == every


@pytest.mark.parametrize(
    ("rate", "every", "wanted"),
    [(10.0, "1s", [0, 10, 20]), (10.0, "0.5s", [0, 5, 10, 15, 20]),
     (10.0, "250ms", [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]),
     (10.0, "10f", [0, 10, 20]), (10.0, "1ms", list(range(25))), (10.0, "10s", [0]),
     (29.97, "0.2s", [0, 6, 12, 18, 24])],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_one_frame_each_so_many_seconds(
    tmp_path: Path, suffix: str, rate: float, every: str, wanted: list[int]
) -> None:
    path = film(tmp_path / f"a{suffix}", (shade(10 * k) for k in range(25)), rate)
    with Video(path) as video:
        assert [number for number, _, _ in video.frames(Every.parse(every))] == wanted


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_jump_to_a_frame(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a{suffix}", (shade(10 * k) for k in range(25)))
    with Video(path) as video:
        wanted = {number: pixels for number, _, pixels in video.frames()}
    with Video(path) as video:
        for number in (20, 3, 0, 24):
            pixels = video.frame(number)
            assert pixels is not None
            assert np.array_equal(pixels, wanted[number])


def test_why_a_video_cannot_be_read_has_a_short_name(tmp_path: Path) -> None:
    files = {"empty.mp4": b"", "not a video.mp4": b"no video\n" * 30}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageError) as raised:
            Video(tmp_path / name)
        assert raised.value.reason == name.removesuffix(".mp4")
