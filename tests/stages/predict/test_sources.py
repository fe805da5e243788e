"""Sources of predict: videos in folders, face crops, synthetic photographs; and how rows are stored and shown."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fercli
from fercli.errors import DataError, FerError, ImageError, UsageError
from fercli.images import read_image
from fercli.stages.predict import detection, row_store
from fercli.stages.predict.row_store import CHUNK, Rows
from fercli.stages.predict.rows import Row, safe_cell, safe_path_cell
from fercli.videos import Video
from tests.helpers.datasets import face, names, noise, write_tree
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack
from tests.helpers.prediction import EMOTIONS, picture, save_model, table
from tests.helpers.progress import Log
from tests.helpers.videos import film

Fer = Callable[..., Any]
ODD = [os.fsdecode(b"caf\xe9.png"), "=cmd.png", "[red]x.png", "a\x1b[31mb\nc.png", "-flag.png"]


# --- videos ---


@pytest.mark.slow
def test_folder_with_photographs_and_videos(checkpoint: Path, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "mixed", {"a.png": picture(5), "note.txt": b"dear", "deep/z.csv": b"1,2"})
    film(folder / "b" / "walk.avi", [picture(16, seed=1)] * 5)
    film(folder / "c.mp4", [picture(40, seed=2)] * 4)
    (folder / "d.mov").write_bytes(b"not a video\n" * 30)
    listener = Log()
    found = fercli.predict(
        checkpoint, folder, csv=tmp_path / "rows.csv", draw=tmp_path / "drawn", device="cpu", progress=listener
    )
    assert [(row.source, row.frame, row.time, row.face_id) for row in found.rows] == [
        ("a.png", 0, None, ""),
        *(("b/walk.avi", k, pytest.approx(k / 10), "0001") for k in range(5)),
        *(("c.mp4", k, pytest.approx(k / 10), "0001") for k in range(4)),
    ]
    assert found.skipped == {"not a video": ["d.mov"]}
    assert (found.summary["images"], found.summary["unreadable"], found.summary["passed_over"]) == (10, 1, 2)
    assert "skipped 1 not a video, such as d.mov, 2 neither images nor videos" in listener.lines
    assert [row["face_id"] for row in table(tmp_path / "rows.csv")] == ["", *["0001"] * 9]
    drawn = [path.relative_to(tmp_path / "drawn").as_posix() for path in (tmp_path / "drawn").rglob("*.*")]
    assert sorted(drawn) == ["a.png", "b/walk.avi", "c.mp4"]
    with Video(tmp_path / "drawn" / "c.mp4") as video:
        assert len(list(video.frames())) == 4
    only = fercli.predict(checkpoint, folder / "b", every="0.2s", device="cpu")
    assert [row.frame for row in only.rows] == [0, 2, 4]
    with pytest.raises(ImageError, match=r"d\.mov"):
        fercli.predict(checkpoint, folder, strict=True, device="cpu")


def test_face_ids_are_track_numbers(checkpoint: Path, tmp_path: Path) -> None:
    def frame(*lefts: int) -> np.ndarray:
        pixels = picture(*lefts, seed=9)
        for left, look in zip(lefts, (1, 2), strict=False):
            pixels[10:40, left : left + 30] = np.kron(noise(look, 3, 3), np.ones((10, 10), np.uint8))[..., None]
        return pixels

    video = film(tmp_path / "a.avi", [frame(16, 96), frame(24, 96), frame(32, 96), frame(40)])
    rows = fercli.predict(checkpoint, video, device="cpu").rows
    by_frame: dict[int, list[tuple[str, float]]] = {}
    for row in rows:
        assert row.face is not None
        by_frame.setdefault(row.frame, []).append((row.face_id, row.face.box[0]))
    assert by_frame[0] == [("0001", pytest.approx(16, abs=2)), ("0002", pytest.approx(96, abs=2))]
    assert {name for faces in by_frame.values() for name, _ in faces} == {"0001", "0002"}
    assert [name for name, left in by_frame[3]] == ["0001"]


def test_written_video_keeps_irregular_timestamps(checkpoint: Path, tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 1.0, 2.5]
    video = film(tmp_path / "a.mp4", [picture(16, seed=k) for k in range(5)], times=times)
    fercli.predict(checkpoint, video, csv=tmp_path / "rows.csv", draw=tmp_path / "drawn.mp4", device="cpu")
    with Video(video) as before, Video(tmp_path / "drawn.mp4") as after:
        assert after.duration == pytest.approx(before.duration, abs=0.1)
        rows = table(tmp_path / "rows.csv")
        assert [float(row["time"]) for row in rows] == [round(s, 3) for _, s, _ in after.frames()]


@pytest.mark.parametrize(("every", "frames"), [(2, [0, 2, 4]), ("2", [0, 2, 4]), ("3f", [0, 3]), ("0.3s", [0, 3])])
def test_every_accepts_the_same_values_as_in_detect(
    checkpoint: Path, tmp_path: Path, every: object, frames: list[int]
) -> None:
    video = film(tmp_path / "a.avi", [picture(16, seed=k) for k in range(6)])
    assert [row.frame for row in fercli.predict(checkpoint, video, every=every, device="cpu").rows] == frames


# --- face crops ---


@pytest.mark.slow
def test_pack_probabilities_equal_those_of_evaluate(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"train": 7, "validation": 7, "test": 21}, side=20)
    run = make_run(tmp_path / "run", pack)
    fercli.evaluate(run.path, pack.path, tmp_path / "evaluation", device="cpu", tta="flip")
    measured = table(tmp_path / "evaluation" / "predictions.csv")
    found = fercli.predict(run.path, pack.path, split="test", csv=tmp_path / "rows.csv", device="cpu", tta="flip")
    written = table(tmp_path / "rows.csv")
    assert [row["source"] for row in written] == [row["path"] for row in measured]
    for ours, theirs, row in zip(written, measured, found.rows, strict=True):
        for emotion in found.emotions:
            assert float(ours[emotion]) == pytest.approx(float(theirs[emotion]), abs=2e-6)
        assert row.face is not None
        assert row.face.box == (0.0, 0.0, 20.0, 20.0)
        assert ours["score"] == ""
    assert len(fercli.predict(run.path, pack.path, device="cpu").rows) == 35
    with pytest.raises(DataError, match="has no unlabelled split; it has train, validation, test"):
        fercli.predict(run.path, pack.path, split="unlabelled")


@pytest.mark.slow
def test_dataset_folder_and_pack_of_the_same_crops_agree(checkpoint: Path, tmp_path: Path) -> None:
    pictures = {f"happy/{k}.png": face(k, 30) for k in range(12)} | {
        f"sad/{k}.png": face(40 + k, 30) for k in range(12)
    }
    folder = write_tree(tmp_path / "crops", pictures)
    dataset = fercli.import_dataset(folder, tmp_path / "dataset")
    pack = fercli.pack(dataset.path, tmp_path / "pack", size=24)
    by_source = {}
    for source, options in ((pack.path, {}), (dataset.path, {}), (folder, {"faces": "crop"})):
        rows = fercli.predict(checkpoint, source, device="cpu", batch_size=5, **options).rows
        assert len(rows) == 24
        by_source[source] = {read(row.source): row.probabilities for row in rows}
    expected = by_source[pack.path]
    for found in by_source.values():
        assert found.keys() == expected.keys()
        for name, probabilities in found.items():
            assert probabilities == pytest.approx(expected[name], abs=1e-6)
    whole = fercli.predict(checkpoint, write_tree(tmp_path / "faceless", {"a.png": picture()}), device="cpu")
    assert whole.summary["faces"] == 0
    assert whole.summary["notes"] == ["no face detected; for cropped faces use --faces crop"]
    fercli.predict(checkpoint, dataset.path, draw=tmp_path / "drawn", device="cpu", split="test")
    drawn = [read_image(path) for path in (tmp_path / "drawn").rglob("*.png")]
    assert drawn
    assert {picture.shape for picture in drawn} == {(210, 210, 3)}, "upscaled so that the label is legible"


def read(path: str) -> str:
    """Return the last two parts of a path."""
    return "/".join(Path(path).parts[-2:])


def test_other_artifacts_and_inapplicable_splits_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack")
    run = make_run(tmp_path / "run", pack)
    with pytest.raises(DataError, match="is a run"):
        fercli.predict(run.path, run.path)
    folder = write_tree(tmp_path / "folder", {"a.png": picture(5)})
    with pytest.raises(UsageError, match="omit --split"):
        fercli.predict(checkpoint, folder, split="test")


# --- nearly black ---


def test_nearly_black_images_are_noted(checkpoint: Path, tmp_path: Path) -> None:
    dark = np.full((60, 60), 4, np.uint8)
    folder = write_tree(tmp_path / "folder", {"a.png": picture(5), "b.png": dark, "c.png": dark})
    listener = Log()
    found = fercli.predict(checkpoint, folder, device="cpu", progress=listener)
    assert found.summary["notes"] == ["2 nearly black, such as b.png: nothing can be seen"]
    assert found.summary["notes"][0] in listener.lines
    film(tmp_path / "dark.mp4", [np.zeros((60, 60, 3), np.uint8)] * 3)  # videos often start with black frames
    assert not any("black" in note for note in fercli.predict(checkpoint, tmp_path / "dark.mp4").summary["notes"])


# --- synthetic faces ---


@pytest.mark.slow
def test_contact_sheet_of_sample_is_ignored(checkpoint: Path, tmp_path: Path) -> None:
    photographs = fercli.sample(tmp_path / "photographs", images=21)
    found = fercli.predict(checkpoint, photographs.path, draw=tmp_path / "drawn", device="cpu")
    assert found.summary["images"] == 21
    assert "contact-sheet.png" not in names(tmp_path / "drawn")


@pytest.mark.slow
def test_model_trained_on_synthetic_faces_is_noted_for_other_sources(checkpoint: Path, tmp_path: Path) -> None:
    photographs = fercli.sample(tmp_path / "photographs", images=21)
    folder = write_tree(tmp_path / "folder", {"a.png": picture(5)})
    drawn = save_model(tmp_path / "drawn", drawn_faces=True)

    def notes(model: Path, source: Path) -> list[str]:
        listener = Log()
        found = fercli.predict(model, source, device="cpu", faces="crop", progress=listener).summary["notes"]
        assert found == [line for line in listener.lines if "synthetic faces" in line]
        return found

    assert notes(checkpoint, folder) == []
    assert notes(drawn, photographs.path) == []
    assert notes(drawn, next(photographs.path.rglob("*.jpg"))) == []
    (note,) = notes(drawn, folder)
    assert "trained on synthetic faces (fer sample); its predictions" in note


# --- rows ---


@pytest.mark.slow
def test_rows_are_streamed(checkpoint: Path, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "many", {f"{k:02}.png": picture(5, seed=k) for k in range(70)})
    with fercli.predict(checkpoint, folder, stream=True, csv=tmp_path / "rows.csv", device="cpu") as rows:
        first = next(rows)
        assert (first.source, rows.summary) == ("00.png", {})
        assert not (tmp_path / "rows.csv").exists()
        assert [row.source for row in rows] == [f"{k:02}.png" for k in range(1, 70)]
        assert rows.summary["images"] == 70
    assert len(table(tmp_path / "rows.csv")) == 70
    with fercli.predict(checkpoint, folder, stream=True, csv=tmp_path / "half.csv", device="cpu") as rows:
        next(rows)
    assert names(tmp_path) == ["many", "rows.csv"]


def rows_of(count: int) -> list[Row]:
    found = some_face()
    return [
        Row(f"é{k}\udcff", k, k / 7 if k % 3 else None, 0, found if k % 2 else None, (0.25, 1 / 3), "sad", f"{k:04d}")
        for k in range(count)
    ]


def some_face() -> Any:
    return detection.Face((0.1, 2.0, 3.0, 4.5), 0.9, ((1.0, 2.0), (3.5, 4.0)), 90)


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 1, 5 * CHUNK + 3])
def test_rows_behave_like_a_list_with_bounded_memory(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(row_store, "IN_MEMORY", 2)
    expected, rows = rows_of(count), Rows()
    for row in expected:
        rows.append(row)
    assert len(rows) == count
    assert list(rows) == expected
    assert rows[-3:] == expected[-3:]
    assert rows[: CHUNK + 2] == expected[: CHUNK + 2]
    for number in (0, count // 2, count - 1, -1) if count else ():
        assert rows[number] == expected[number]
    assert rows.in_memory <= 3 * CHUNK
    with pytest.raises(IndexError):
        rows[count]


def test_unwritable_temporary_folder_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(row_store, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    rows = Rows()
    *most, last = rows_of(CHUNK)
    for row in most:
        rows.append(row)
    with pytest.raises(FerError, match="stream=True"):
        rows.append(last)


# --- names ---


def test_unusual_names_are_escaped_in_all_outputs(fer: Fer, checkpoint: Path, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "odd", {name: picture(5, seed=k) for k, name in enumerate(ODD)})
    found = fercli.predict(checkpoint, folder, csv=tmp_path / "rows.csv", draw=tmp_path / "drawn", device="cpu")
    assert {row.source for row in found.rows} == set(ODD)
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == set(ODD)
    written = {row["source"] for row in table(tmp_path / "rows.csv")}
    assert written == {"caf\\xe9.png", "./=cmd.png", "[red]x.png", "a\\x1b[31mb\\nc.png", "./-flag.png"}
    assert (tmp_path / "rows.csv").read_text("utf-8").count("\n") == 6
    printed = fer("predict", checkpoint, folder, "--device=cpu", "--json", "--quiet")
    assert {row["source"] for row in json.loads(printed.out)["predictions"]} == {"caf\\xe9.png", *ODD[1:]}
    shown = fer("predict", checkpoint, folder, "--device=cpu")
    assert "\x1b" not in shown.out
    assert {"[red]x.png", "caf\\xe9.png"} <= {line.split("  ")[0] for line in shown.out.splitlines()}


def test_source_may_have_any_name_except_an_empty_one(checkpoint: Path, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / os.fsdecode(b"f\xff"), {ODD[0]: picture(5)})
    for source in (folder, folder / ODD[0], str(folder)):
        assert len(fercli.predict(checkpoint, source, device="cpu").rows) == 1
    with pytest.raises(UsageError, match="source: input should not be empty"):
        fercli.predict(checkpoint, "")


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@sum", "=\x1b[31m"])
def test_cells_are_never_formulas(text: str) -> None:
    assert safe_cell(text).startswith("'")
    assert safe_path_cell(text).startswith("./")
    assert (safe_cell("0001"), safe_path_cell("/a/=b.png"), safe_path_cell("a.png")) == ("0001", "/a/=b.png", "a.png")


def test_emotion_names_are_escaped(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", emotions=["=1+1", *EMOTIONS[1:]])
    folder = write_tree(tmp_path / "folder", {"a.png": picture(5)})
    fercli.predict(model, folder, csv=tmp_path / "rows.csv", device="cpu")
    assert "=1+1" not in (tmp_path / "rows.csv").read_text().replace("'=1+1", "")


# --- terminal output ---


def test_long_names_are_shortened_on_a_terminal_only(
    fer: Fer, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = "/".join(["a-folder-with-a-long-name"] * 5)
    folder = write_tree(tmp_path / "photographs", {f"{deep}/{k}-the-end.png": picture(5, 80) for k in range(2)})
    piped = fer("predict", checkpoint, folder, "--device=cpu").out
    assert sum(line.startswith(f"{deep}/1-the-end.png") for line in piped.splitlines()) == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    shown = fer("predict", checkpoint, folder, "--device=cpu").out.splitlines()
    assert max(map(len, shown)) <= 80
    named = [line for line in shown if "-the-end.png" in line]
    assert len(named) == 4
    assert all(line.startswith("…") for line in named)


def test_json_output_is_one_object_for_many_rows(
    fer: Fer, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_store, "CHUNK", 2)
    monkeypatch.setattr(row_store, "IN_MEMORY", 1)
    folder = write_tree(tmp_path / "many", {f"{k:02}.png": picture(5, seed=k) for k in range(9)})
    found = json.loads(fer("predict", checkpoint, folder, "--device=cpu", "--json").out)
    assert [row["source"] for row in found["predictions"]] == [f"{k:02}.png" for k in range(9)]
    assert found["images"] == 9
