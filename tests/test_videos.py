"""Videos: frames, times and colours come back as they were written; what is none is told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from filming import film, shade

from fercli.errors import DataError, UsageError
from fercli.videos import Video, VideoWriter, is_video

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
