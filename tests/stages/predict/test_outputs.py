"""Where predict writes: nothing of the user's is replaced or removed, and every refusal is one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fercli
from fercli.artifacts.staging import locked
from fercli.errors import DataError, FerError, UsageError
from fercli.images import read_image
from fercli.stages.predict import csv_writer as tables
from fercli.stages.predict.csv_writer import is_table
from fercli.stages.predict.media_writer import is_drawn
from tests.helpers.datasets import names, write_tree
from tests.helpers.prediction import picture, table
from tests.helpers.videos import film

Fer = Callable[..., Any]


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", {"a.png": picture(5)}) / "a.png"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif"])
def test_a_drawn_picture_is_replaced_and_a_photograph_never(
    checkpoint: Path, photograph: Path, tmp_path: Path, suffix: str
) -> None:
    drawn, holiday = tmp_path / f"drawn{suffix}", tmp_path / f"holiday{suffix}"
    fercli.predict(checkpoint, photograph, draw=drawn, device="cpu")
    assert is_drawn(drawn)
    with pytest.raises(UsageError, match="replace it with --overwrite"):
        fercli.predict(checkpoint, photograph, draw=drawn, device="cpu")
    fercli.predict(checkpoint, photograph, draw=drawn, overwrite=True, device="cpu")
    write_tree(tmp_path, {holiday.name: picture(seed=4)})
    before = holiday.read_bytes()
    with pytest.raises(DataError, match="no picture or video of fer predict"):
        fercli.predict(checkpoint, photograph, draw=holiday, overwrite=True, device="cpu")
    assert holiday.read_bytes() == before


def test_a_picture_without_a_mark_is_never_replaced(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.bmp"
    fercli.predict(checkpoint, photograph, draw=drawn, device="cpu")
    with pytest.raises(DataError, match="choose another place"):
        fercli.predict(checkpoint, photograph, draw=drawn, overwrite=True, device="cpu")


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_drawn_video_is_replaced_and_a_film_never(checkpoint: Path, tmp_path: Path, suffix: str) -> None:
    video = film(tmp_path / "in" / f"a{suffix}", [picture(16)] * 3)
    drawn, mine = tmp_path / f"drawn{suffix}", film(tmp_path / f"mine{suffix}", [picture()] * 3)
    fercli.predict(checkpoint, video, draw=drawn, device="cpu")
    fercli.predict(checkpoint, video, draw=drawn, overwrite=True, device="cpu")
    before = mine.read_bytes()
    with pytest.raises(DataError, match="no picture or video of fer predict"):
        fercli.predict(checkpoint, video, draw=mine, overwrite=True, device="cpu")
    assert mine.read_bytes() == before
    assert names(tmp_path) == sorted([drawn.name, "in", mine.name])


def test_the_users_hidden_files_are_left_alone(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    mine = write_tree(
        tmp_path / "out",
        {
            ".rows.csv.partial": b"mine",
            ".drawn.partial/letter.txt": b"dear",
            ".one.partial.png": b"mine",
            ".one.png.partial": b"mine",
        },
    )
    before = content(mine)
    with pytest.raises(DataError, match=r"\.drawn\.partial: a folder not created by fercli"):
        fercli.predict(checkpoint, photograph.parent, draw=mine / "drawn", device="cpu")
    fercli.predict(checkpoint, photograph, csv=mine / "rows.csv", draw=mine / "one.png", device="cpu")
    assert before.items() <= content(mine).items()
    assert set(content(mine)) - set(before) == {str(mine / "rows.csv"), str(mine / "one.png")}


def test_what_a_kill_left_is_cleared_away(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    fercli.predict(checkpoint, photograph.parent, draw=tmp_path / "drawn", device="cpu")
    (tmp_path / "drawn").rename(tmp_path / ".again.partial")
    (tmp_path / ".again.partial" / "pending.json").write_text('{"key": "' + "0" * 64 + '"}')
    fercli.predict(checkpoint, photograph.parent, draw=tmp_path / "again", device="cpu")
    assert names(tmp_path) == ["again", "in"]
    assert names(tmp_path / "again") == ["a.png"]


def test_inputs_are_no_places(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(checkpoint, tmp_path / "model"))
    before = content(tmp_path)
    for options in (
        {"csv": photograph}, {"draw": photograph}, {"csv": model / "rows.csv"}, {"draw": model / "drawn.png"},
        {"csv": model}, {"draw": model}, {"csv": model / "model.json"},
    ):  # fmt: skip
        with pytest.raises(UsageError, match="the output is inside the input"):
            fercli.predict(model, photograph, overwrite=True, device="cpu", **options)
    for options in ({"csv": photograph.parent / "rows.csv"}, {"draw": photograph.parent / "drawn"}):
        with pytest.raises(UsageError, match="the output is inside the input"):
            fercli.predict(model, photograph.parent, overwrite=True, device="cpu", **options)
    assert content(tmp_path) == before


@pytest.mark.parametrize(("csv", "draw"), [("a.png", "a.png"), ("drawn/a.csv", "drawn"), ("a.csv", "./x/../a.csv")])
def test_one_place_for_both_is_refused(
    checkpoint: Path, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, csv: str, draw: str
) -> None:
    (tmp_path / "out" / "x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(UsageError, match="one place for both"):
        fercli.predict(checkpoint, photograph.parent, csv=csv, draw=draw, device="cpu")


@pytest.mark.parametrize("option", ["csv", "draw"])
def test_devices_pipes_folders_and_long_names_are_one_line(
    fer: Fer, checkpoint: Path, photograph: Path, tmp_path: Path, option: str
) -> None:
    out = tmp_path / "out"
    (out / "full").mkdir(parents=True)
    os.mkfifo(out / "pipe.png")
    (out / "file").write_text("mine")
    for place in (
        "/dev/full", "/dev/null", out / "pipe.png", out / "full",
        out / ("x" * 252 + ".png"), out / ("x" * 300 + ".png"),
        out / "file" / "a.png", "/proc/a.png", "/",
    ):  # fmt: skip
        ended = fer("predict", checkpoint, photograph, f"--{option}", place, "--overwrite", "--device=cpu", "--quiet")
        assert (ended.code in (1, 2), ended.out, len(ended.lines)) == (True, "", 1), (place, ended)
        assert "unexpected" not in ended.err
    assert sorted(path.name for path in out.rglob("*")) == ["file", "full", "pipe.png"]


def test_sources_that_are_no_files_are_one_line(fer: Fer, checkpoint: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe.png")
    for source in (tmp_path / "pipe.png", tmp_path / "pipe.mp4", "/dev/zero", tmp_path / "folder", "x" * 300, "a\0b"):
        ended = fer("predict", checkpoint, source, "--device=cpu", "--quiet")
        assert (ended.code in (1, 2), ended.out, len(ended.lines)) == (True, "", 1), (source, ended)
        assert "unexpected" not in ended.err


def test_a_table_that_another_call_writes_is_refused(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    for option, place in (("csv", tmp_path / "rows.csv"), ("draw", tmp_path / "one.png")):
        with locked(place), pytest.raises(DataError, match="is being written by another call"):
            fercli.predict(checkpoint, photograph, device="cpu", **{option: place})
    assert names(tmp_path) == ["in"]


def test_what_comes_to_the_place_meanwhile_is_not_replaced(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    place = tmp_path / "rows.csv"
    stream = fercli.predict(checkpoint, photograph, stream=True, csv=place, device="cpu")
    next(stream)
    place.write_text("mine")
    with pytest.raises(UsageError, match="something stands here"):
        list(stream)
    assert place.read_text() == "mine"
    assert names(tmp_path) == ["in", "rows.csv"]


def test_a_full_disk_is_told_and_nothing_is_left(
    checkpoint: Path, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables, "publish", full)
    with pytest.raises(FerError, match=r"rows\.csv: cannot be written \(the disk is full\)"):
        fercli.predict(checkpoint, photograph, csv=tmp_path / "rows.csv", device="cpu")
    assert names(tmp_path) == ["in"]


def test_tables_are_known_by_their_header(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    fercli.predict(checkpoint, photograph, csv=tmp_path / "rows.csv", device="cpu")
    before_numbers = "source,frame,time,face,left,top,width,height,score,emotion,happy\n"
    files = write_tree(
        tmp_path / "files",
        {"old.csv": before_numbers.encode(), "mine.csv": b"source,frame\n", "empty.csv": b"", "bytes.csv": b"\xff\0\n"},
    )
    found = [is_table(path) for path in (tmp_path / "rows.csv", *sorted(files.iterdir()), tmp_path / "none.csv")]
    assert found == [True, False, False, False, True, False]


def test_a_folders_pictures_of_other_kinds_get_an_ending(checkpoint: Path, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "in", {"a.gif": picture(5), "b.pgm": picture(5), "c.bmp": picture(5)})
    (folder / "a.gif.png").write_bytes((folder / "c.bmp").read_bytes())
    fercli.predict(checkpoint, folder, draw=tmp_path / "drawn", device="cpu")
    for path in (tmp_path / "drawn").iterdir():
        assert read_image(path).shape == (60, 160, 3)
    assert len(names(tmp_path / "drawn")) == 4
    assert len(table_of(checkpoint, folder, tmp_path / "rows.csv")) == 4


def table_of(checkpoint: Path, source: Path, place: Path) -> list[dict[str, str]]:
    fercli.predict(checkpoint, source, csv=place, device="cpu")
    return table(place)
