"""Predict: one row per face and frame, in order, for any batch size and number of threads; outputs are atomic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import fercli
from fercli.errors import DataError, ImageError, UsageError
from fercli.faces.base import Face
from fercli.faces.cropping import crop_face
from fercli.images import read_image
from fercli.models.checkpoints import CheckpointMetadata, load_checkpoint
from fercli.models.inference import predict as predict_faces
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import find_model
from fercli.progress import Progress
from fercli.stages.predict import detection, stage
from fercli.stages.predict.rows import COLUMNS
from fercli.videos import Every
from tests.helpers.datasets import names, write_tree
from tests.helpers.prediction import EMOTIONS, picture, table
from tests.helpers.videos import film

Fer = Callable[..., Any]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    pictures = {
        "a.png": picture(5, 80, seed=1),
        "nested/b.png": picture(seed=2),
        "nested/c 'd'.png": picture(40, seed=3),
        "broken.jpg": b"not an image",
    }
    return write_tree(tmp_path / "photographs", pictures)


def test_rows_contain_the_model_output_for_each_crop(checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    found = fercli.predict(checkpoint, photographs, csv=tmp_path / "rows.csv", device="cpu")
    places = [(row.source, row.index, row.face and row.face.box[0]) for row in found.rows]
    assert places == [
        ("a.png", 0, 5.0),
        ("a.png", 1, 80.0),
        ("nested/b.png", None, None),
        ("nested/c 'd'.png", 0, 40.0),
    ]
    loaded = load_checkpoint(checkpoint)
    crop = crop_face(read_image(photographs / "a.png"), Face((80.0, 10.0, 30.0, 30.0), 1.0), 24, "gray")
    expected = predict_faces(
        loaded.model,
        torch.from_numpy(crop.copy())[None, None],
        loaded.metadata.preprocessing,
        device=torch.device("cpu"),
    )
    assert found.rows[1].probabilities == pytest.approx(expected[0].tolist(), abs=1e-6)
    assert found.rows[1].emotion == EMOTIONS[int(expected.argmax())]
    assert found.skipped == {"not an image": ["broken.jpg"]}
    assert {k: found.summary[k] for k in ("images", "faces", "without_face", "unreadable")} == {
        "images": 3,
        "faces": 3,
        "without_face": 1,
        "unreadable": 1,
    }
    assert sum(found.summary["emotions"].values()) == 3

    written = table(tmp_path / "rows.csv")
    assert list(written[0]) == [*COLUMNS, *EMOTIONS]
    assert [row["source"] for row in written] == [row.source for row in found.rows]
    assert [row["face"] for row in written] == ["0", "1", "", "0"]
    assert sum(float(written[0][emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-5)
    assert set(written[2].values()) == {"nested/b.png", "0", ""}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("batch", [3, 32])
def test_batch_size_and_threads_do_not_affect_results(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, batch: int
) -> None:
    folder = write_tree(
        tmp_path / "many", {f"{i:02}.png": picture(*range(3, 3 + 35 * (i % 4), 35), seed=i) for i in range(17)}
    )
    plain = fercli.predict(checkpoint, folder, device="cpu")
    monkeypatch.setattr(detection, "BATCH", batch)
    monkeypatch.setattr(detection, "AHEAD_PIXELS", 20_000)
    other = fercli.predict(checkpoint, folder, device="cpu", workers=workers)
    assert [(r.source, r.index, r.face) for r in other.rows] == [(r.source, r.index, r.face) for r in plain.rows]
    for ours, theirs in zip(plain.rows, other.rows, strict=True):
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)


def test_video_rows_have_times_and_include_frames_without_a_face(checkpoint: Path, tmp_path: Path) -> None:
    video = film(tmp_path / "a.avi", [picture(*([16] if i % 2 else []), seed=i) for i in range(6)])
    found = fercli.predict(checkpoint, video, csv=tmp_path / "a.csv", draw=tmp_path / "drawn.avi", device="cpu")
    assert [(row.frame, row.time, row.face is None) for row in found.rows] == [
        (i, pytest.approx(i / 10), i % 2 == 0) for i in range(6)
    ]
    assert found.summary["without_face"] == 3
    again = fercli.predict(checkpoint, tmp_path / "drawn.avi", device="cpu")
    assert again.summary["images"] == 6
    each = fercli.predict(checkpoint, video, every=2, frames=2, device="cpu")
    assert [row.frame for row in each.rows] == [0, 2]


def test_truncated_video_is_read_and_reported(checkpoint: Path, tmp_path: Path) -> None:
    class Listener(Progress):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def log(self, message: str) -> None:
            self.lines.append(message)

    listener = Listener()
    video = film(tmp_path / "a.avi", [picture(16, seed=i) for i in range(40)])
    (tmp_path / "cut.avi").write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    found = fercli.predict(checkpoint, tmp_path / "cut.avi", device="cpu", progress=listener)
    assert 10 < found.summary["images"] < 30
    assert any("truncated" in line and "of 40" in line for line in listener.lines)


def test_boxes_are_drawn(checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    fercli.predict(checkpoint, photographs, draw=tmp_path / "drawn", device="cpu")
    assert sorted(p.relative_to(tmp_path / "drawn").as_posix() for p in (tmp_path / "drawn").rglob("*.png")) == [
        "a.png",
        "nested/b.png",
        "nested/c 'd'.png",
    ]
    before, after = read_image(photographs / "a.png"), read_image(tmp_path / "drawn" / "a.png")
    assert before.shape == after.shape
    changed = (before != after).any(2)
    assert changed[10:40, 5].all(), "the box's left side"
    assert not changed[15:35, 20:30].any(), "the face itself"
    assert np.array_equal(read_image(photographs / "nested/b.png"), read_image(tmp_path / "drawn/nested/b.png"))
    fercli.predict(checkpoint, photographs / "a.png", draw=tmp_path / "one.png", device="cpu")
    assert np.array_equal(read_image(tmp_path / "one.png"), after)


def test_largest_selects_one_face(checkpoint: Path, photographs: Path) -> None:
    found = fercli.predict(checkpoint, photographs / "a.png", faces="largest", device="cpu")
    assert [row.index for row in found.rows] == [0]


def test_face_format_is_that_of_the_training(tmp_path: Path) -> None:
    metadata = {
        "architecture": "resnet18",
        "emotions": EMOTIONS,
        "preprocessing": Preprocessing.of(find_model("resnet18")),
    }
    assert CheckpointMetadata(**metadata, face_size=48, face_color="gray").face_format == (48, "gray")
    assert CheckpointMetadata(**metadata).face_format == (224, "rgb"), "the default"


@pytest.mark.slow
def test_existing_files_and_inputs_are_not_overwritten(checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("my,own\n1,2\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    one = photographs / "a.png"
    for wrong, text in (
        ({"csv": tmp_path / "mine.csv"}, "--overwrite"),
        ({"draw": tmp_path / "full"}, "not an empty folder"),
        ({"draw": photographs / "drawn"}, "is inside the input"),
        ({"csv": photographs / "rows.csv"}, "is inside the input"),
    ):
        with pytest.raises(UsageError, match=text):
            fercli.predict(checkpoint, photographs, device="cpu", **wrong)
    for place, text in (
        (one, "is inside the input"),
        (tmp_path / "full", "is a folder"),
        (tmp_path / "a.pdf", "image file"),
    ):
        with pytest.raises(UsageError, match=text):
            fercli.predict(checkpoint, one, draw=place, overwrite=True, device="cpu")
    with pytest.raises(DataError, match="not written by fer predict"):
        fercli.predict(checkpoint, one, csv=tmp_path / "mine.csv", overwrite=True, device="cpu")
    assert (tmp_path / "mine.csv").read_text() == "my,own\n1,2\n"
    assert names(tmp_path / "full") == ["letter.txt"]
    fercli.predict(checkpoint, one, csv=tmp_path / "rows.csv", device="cpu")
    fercli.predict(checkpoint, photographs, csv=tmp_path / "rows.csv", overwrite=True, device="cpu")
    assert len(table(tmp_path / "rows.csv")) == 4


def test_interrupted_call_leaves_no_output(
    checkpoint: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "describe_faces", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fercli.predict(checkpoint, photographs, csv=tmp_path / "rows.csv", draw=tmp_path / "drawn", device="cpu")
    assert names(tmp_path) == ["photographs"]


def test_ctrl_c_finishes_a_webcam_stream(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera:
        """Yields four frames, then Ctrl-C."""

        name, rate, expected, duration, cut_off = "webcam 0", 10.0, 0, 0.0, ""

        def __init__(self, source: int) -> None:
            assert source == 2

        def frames(self, every: Every) -> Any:
            yield from ((i, i / 10, picture(16, seed=i)) for i in range(4))
            raise KeyboardInterrupt

        def __enter__(self) -> Camera:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("fercli.stages.predict.sources.Video", Camera)
    monkeypatch.chdir(tmp_path)
    found = fercli.predict(checkpoint, "webcam:2", csv=tmp_path / "rows.csv", device="cpu")
    assert len(found.rows) >= 3, "the frame that was being searched may be lost"
    assert len(table(tmp_path / "rows.csv")) == len(found.rows)


def test_invalid_sources_are_reported(checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("not a video")
    for source, text in (
        (tmp_path / "nothing.png", "no such file or folder"),
        (tmp_path / "empty", "no images or videos"),
        (tmp_path / "text.mp4", "cannot be read as a video"),
        (photographs / "broken.jpg", "1 not an image"),
        ("webcam:98", "webcam 98"),
        ("webcam:x", "no such file or folder"),
    ):
        with pytest.raises(DataError, match=text):
            fercli.predict(checkpoint, source, device="cpu")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        fercli.predict(checkpoint, photographs, strict=True, device="cpu")
    with pytest.raises(UsageError, match="every"):
        fercli.predict(checkpoint, photographs, every=0)


def test_result_is_shown_in_a_notebook(checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    html = fercli.predict(checkpoint, photographs, csv=tmp_path / "<b>.csv", device="cpu")._repr_html_()
    for text in ("Predictions", "3 (1 images without)", "unreadable", "&lt;b&gt;.csv"):
        assert text in html
    assert "<img" not in html
    one = fercli.predict(checkpoint, photographs / "a.png", draw=tmp_path / "one.png", device="cpu")._repr_html_()
    assert "data:image/png;base64," in one


def test_command_prints_rows_or_json(fer: Fer, checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    shown = fer("predict", checkpoint, photographs, "--device=cpu")
    assert shown.code == 0, shown.err
    assert "no face" in shown.out
    assert "3 faces in 3 images (1 without)" in shown.out
    assert "skipped 1 not an image" in shown.err
    printed = fer("predict", checkpoint, photographs, "--device=cpu", "--json", "--quiet")
    assert printed.err == ""
    summary = json.loads(printed.out)
    assert set(summary) == {
        "images", "faces", "without_face", "unreadable", "passed_over", "images_per_second", "emotions",
        "notes", "predictions",
    }  # fmt: skip
    assert summary["predictions"][0]["box"] == [5.0, 10.0, 30.0, 30.0]
    assert summary["predictions"][2]["probabilities"] is None
    with_table = fer("predict", checkpoint, photographs, "--device=cpu", "--json", "--csv", tmp_path / "rows.csv")
    assert "predictions" not in json.loads(with_table.out)
    assert fer("predict", checkpoint).code == 2
    assert fer("predict", tmp_path / "none", photographs).code == 1


@pytest.mark.slow
def test_images_of_all_sizes_are_annotated(checkpoint: Path, tmp_path: Path) -> None:
    for name, size in (("tiny.png", (60, 44)), ("large.png", (1500, 2000))):
        path = tmp_path / name
        Image.fromarray(picture(4, height=size[0], width=size[1])).save(path)
        fercli.predict(checkpoint, path, draw=tmp_path / f"drawn-{name}", device="cpu")
        assert read_image(tmp_path / f"drawn-{name}").shape == (*size, 3)
