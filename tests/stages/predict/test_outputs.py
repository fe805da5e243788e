"""Output paths of predict: files of the user are never replaced or removed, and errors are one line."""

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
from fercli.stages.predict import csv_writer
from fercli.stages.predict.csv_writer import is_prediction_csv
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


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif"])
def test_only_images_written_by_predict_are_replaced(
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
    with pytest.raises(DataError, match="not written by fer predict"):
        fercli.predict(checkpoint, photograph, draw=holiday, overwrite=True, device="cpu")
    assert holiday.read_bytes() == before


def test_formats_without_comments_are_never_replaced(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.bmp"
    fercli.predict(checkpoint, photograph, draw=drawn, device="cpu")
    with pytest.raises(DataError, match="choose another path"):
        fercli.predict(checkpoint, photograph, draw=drawn, overwrite=True, device="cpu")


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_only_videos_written_by_predict_are_replaced(checkpoint: Path, tmp_path: Path, suffix: str) -> None:
    video = film(tmp_path / "in" / f"a{suffix}", [picture(16)] * 3)
    drawn, mine = tmp_path / f"drawn{suffix}", film(tmp_path / f"mine{suffix}", [picture()] * 3)
    fercli.predict(checkpoint, video, draw=drawn, device="cpu")
    fercli.predict(checkpoint, video, draw=drawn, overwrite=True, device="cpu")
    before = mine.read_bytes()
    with pytest.raises(DataError, match="not written by fer predict"):
        fercli.predict(checkpoint, video, draw=mine, overwrite=True, device="cpu")
    assert mine.read_bytes() == before
    assert names(tmp_path) == sorted([drawn.name, "in", mine.name])


def test_hidden_files_of_the_user_are_kept(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
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


def test_leftovers_of_a_killed_call_are_removed(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    fercli.predict(checkpoint, photograph.parent, draw=tmp_path / "drawn", device="cpu")
    (tmp_path / "drawn").rename(tmp_path / ".again.partial")
    (tmp_path / ".again.partial" / "pending.json").write_text('{"key": "' + "0" * 64 + '"}')
    fercli.predict(checkpoint, photograph.parent, draw=tmp_path / "again", device="cpu")
    assert names(tmp_path) == ["again", "in"]
    assert names(tmp_path / "again") == ["a.png"]


def test_outputs_inside_inputs_are_refused(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
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
def test_overlapping_outputs_are_refused(
    checkpoint: Path, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, csv: str, draw: str
) -> None:
    (tmp_path / "out" / "x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(UsageError, match="the outputs overlap"):
        fercli.predict(checkpoint, photograph.parent, csv=csv, draw=draw, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("option", ["csv", "draw"])
def test_devices_pipes_folders_and_long_names_are_one_line_errors(
    fer: Fer, checkpoint: Path, photograph: Path, tmp_path: Path, option: str
) -> None:
    out = tmp_path / "out"
    (out / "full").mkdir(parents=True)
    os.mkfifo(out / "pipe.png")
    (out / "file").write_text("mine")
    for path in (
        "/dev/full", "/dev/null", out / "pipe.png", out / "full",
        out / ("x" * 252 + ".png"), out / ("x" * 300 + ".png"),
        out / "file" / "a.png", "/proc/a.png", "/",
    ):  # fmt: skip
        ended = fer("predict", checkpoint, photograph, f"--{option}", path, "--overwrite", "--device=cpu", "--quiet")
        assert (ended.code in (1, 2), ended.out, len(ended.lines)) == (True, "", 1), (path, ended)
        assert "unexpected" not in ended.err
    assert sorted(path.name for path in out.rglob("*")) == ["file", "full", "pipe.png"]


@pytest.mark.parametrize("option", ["csv", "draw"])
def test_empty_output_path_is_a_one_line_error(fer: Fer, checkpoint: Path, photograph: Path, option: str) -> None:
    ended = fer("predict", checkpoint, photograph, f"--{option}", "", "--device=cpu")
    assert (ended.code, ended.out) == (2, "")
    assert ended.lines == [f"fer predict: {option}: expected a path, got '' or '.'"]
    with pytest.raises(UsageError, match=f"{option}: expected a path"):
        fercli.predict(checkpoint, photograph, **{option: ""})


@pytest.mark.slow
def test_sources_that_are_not_files_are_one_line_errors(fer: Fer, checkpoint: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe.png")
    for source in (tmp_path / "pipe.png", tmp_path / "pipe.mp4", "/dev/zero", tmp_path / "folder", "x" * 300, "a\0b"):
        ended = fer("predict", checkpoint, source, "--device=cpu", "--quiet")
        assert (ended.code in (1, 2), ended.out, len(ended.lines)) == (True, "", 1), (source, ended)
        assert "unexpected" not in ended.err


def test_output_locked_by_another_call_is_refused(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    for option, path in (("csv", tmp_path / "rows.csv"), ("draw", tmp_path / "one.png")):
        with locked(path), pytest.raises(DataError, match="is being written by another call"):
            fercli.predict(checkpoint, photograph, device="cpu", **{option: path})
    assert names(tmp_path) == ["in"]


def test_file_created_in_the_meantime_is_not_replaced(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    stream = fercli.predict(checkpoint, photograph, stream=True, csv=path, device="cpu")
    next(stream)
    path.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        list(stream)
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["in", "rows.csv"]


def test_full_disk_is_a_one_line_error_and_leaves_nothing(
    checkpoint: Path, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(csv_writer, "publish", full)
    with pytest.raises(FerError, match=r"rows\.csv: cannot be written \(the disk is full\)"):
        fercli.predict(checkpoint, photograph, csv=tmp_path / "rows.csv", device="cpu")
    assert names(tmp_path) == ["in"]


def test_csv_files_are_recognised_by_their_header(checkpoint: Path, photograph: Path, tmp_path: Path) -> None:
    fercli.predict(checkpoint, photograph, csv=tmp_path / "rows.csv", device="cpu")
    old_header = "source,frame,time,face,left,top,width,height,score,emotion,happy\n"
    files = write_tree(
        tmp_path / "files",
        {"old.csv": old_header.encode(), "mine.csv": b"source,frame\n", "empty.csv": b"", "bytes.csv": b"\xff\0\n"},
    )
    found = [
        is_prediction_csv(path) for path in (tmp_path / "rows.csv", *sorted(files.iterdir()), tmp_path / "none.csv")
    ]
    assert found == [True, False, False, False, True, False]


def test_images_in_unwritable_formats_become_png(checkpoint: Path, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "in", {"a.gif": picture(5), "b.pgm": picture(5), "c.bmp": picture(5)})
    (folder / "a.gif.png").write_bytes((folder / "c.bmp").read_bytes())
    fercli.predict(checkpoint, folder, draw=tmp_path / "drawn", device="cpu")
    for path in (tmp_path / "drawn").iterdir():
        assert read_image(path).shape == (60, 160, 3)
    assert len(names(tmp_path / "drawn")) == 4
    assert len(predict_to_csv(checkpoint, folder, tmp_path / "rows.csv")) == 4


def predict_to_csv(checkpoint: Path, source: Path, csv: Path) -> list[dict[str, str]]:
    fercli.predict(checkpoint, source, csv=csv, device="cpu")
    return table(csv)
