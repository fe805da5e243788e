"""`fer clean --detector`: images without a face are removed, tilted faces rotated, and changes reported."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.index import Row, read_index
from fercli.errors import DataError, FerError, UsageError
from fercli.faces.base import Face
from fercli.faces.cropping import rotate_upright
from fercli.images import Pixels, encode_png, pixel_digest, read_image
from fercli.stages.clean import face_filter as face_filter
from fercli.stages.clean.alignment import turned_paths
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.face_filter import SIDE, largest_face
from fercli.stages.clean.stage import clean
from tests.helpers.datasets import face, make_dataset, write_tree
from tests.helpers.photographs import head, write_network


class BrightDots:
    """A fake detector that takes the two brightest dots of an image for eyes."""

    name = "marked"
    landmarks = True

    def detect(self, pixels: Pixels) -> list[Face]:
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        bright = (grey > 225).astype(np.uint8)
        number, _, stats, centres = cv2.connectedComponentsWithStats(bright)
        eyes = [k for k in range(1, number) if stats[k, cv2.CC_STAT_AREA] >= 12]
        if len(eyes) != 2:
            return []
        places = sorted((float(x), float(y)) for x, y in centres[eyes])
        return [Face((0, 0, *pixels.shape[1::-1]), 1.0, tuple(places))]


def with_eyes(seed: int, degrees: float = 0.0, side: int = 48, distance: float = 12) -> np.ndarray:
    """Return a dark image with two bright dots on a line tilted by `degrees`."""
    pixels = (face(seed, side) // 2).astype(np.uint8)
    dx, dy = distance * math.cos(math.radians(degrees)), distance * math.sin(math.radians(degrees))
    for sign in (-1, 1):
        cv2.circle(pixels, (round(side / 2 + sign * dx), round(side / 2 + sign * dy)), 3, 255, -1)
    return pixels


IMAGES = {
    "train/happy/1.png": with_eyes(1),
    "train/happy/2.png": with_eyes(2, 20),
    "train/sad/3.png": face(3) // 2,
    "train/sad/4.png": with_eyes(4, -30),
    "validation/sad/5.png": face(5) // 2,
    "validation/happy/6.png": with_eyes(6),
    "test/happy/7.png": face(7) // 2,
    "test/sad/8.png": with_eyes(8, 15),
    "test/sad/9.png": face(3) // 2,
}
FACELESS = ["train/sad/3.png", "validation/sad/5.png", "test/happy/7.png", "test/sad/9.png"]
TURNED = ["train/happy/2.png", "train/sad/4.png", "test/sad/8.png"]


@pytest.fixture(autouse=True)
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = face_filter.create_detector
    monkeypatch.setattr(
        face_filter, "create_detector", lambda name, w: BrightDots() if name == "marked" else made(name, w)
    )
    found = face_filter.detector_weights
    monkeypatch.setattr(face_filter, "detector_weights", lambda name, w: [] if name == "marked" else found(name, w))


@pytest.fixture
def faces(tmp_path: Path) -> Artifact:
    return make_dataset(tmp_path / "faces", IMAGES)


def run(dataset: Artifact, out: Path, **options: Any) -> Artifact:
    return clean(CleanConfig.of(dataset=dataset.path, out=out, workers=2, **{"detector": "marked", **options}))


def test_images_without_a_face_are_removed(faces: Artifact, tmp_path: Path) -> None:
    done = open_artifact(run(faces, tmp_path / "out").path, "dataset")
    assert read_index(done) == [row for row in read_index(faces) if row.path not in FACELESS]
    for row in read_index(done):
        assert (done.path / row.path).stat().st_ino == (faces.path / row.path).stat().st_ino
    with (done.path / "removed.csv").open(newline="") as file:
        table = list(csv.reader(file))[1:]
    assert table == [[path, *path.split("/")[:2], "no face", ""] for path in FACELESS]
    assert done.manifest.skipped == {"no face": FACELESS}
    assert done.summary["removed"] == {"train": 1, "validation": 1, "test": 2}


def test_summary_counts_by_emotion_and_notes_changes(faces: Artifact, tmp_path: Path) -> None:
    found = run(faces, tmp_path / "out", align=True).summary["faces"]
    assert found["detector"] == "marked"
    assert found["without"] == {
        "train": {"happy": 0, "sad": 1},
        "validation": {"happy": 0, "sad": 1},
        "test": {"happy": 1, "sad": 1},
    }
    assert (found["removed"], found["turned"]) == (4, 3)
    assert found["notes"] == [
        "2 of 3 test images are removed and 1 are aligned: results on it are not comparable with the published split",
        "1 of 2 validation images are removed: results on it are not comparable with the published split",
    ]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Images without a face" in page
    assert "1 of 2 (50.0 %)" in page
    assert "2 of 3 test images are removed" in page
    assert page.count('alt="test/sad/8.png, aligned"') == 1


def test_changes_to_train_only_are_not_noted(tmp_path: Path) -> None:
    images = {path: pixels for path, pixels in IMAGES.items() if path.startswith("train") or path in TURNED[:1]}
    found = run(make_dataset(tmp_path / "faces", images), tmp_path / "out", align=True).summary["faces"]
    assert found["removed"] == 1
    assert found["notes"] == []


def test_only_tilted_faces_are_rotated(faces: Artifact, tmp_path: Path) -> None:
    done = open_artifact(run(faces, tmp_path / "out", align=True).path, "dataset")
    before = {row.path: row for row in read_index(faces)}
    rows = {row.path: row for row in read_index(done)}
    assert list(rows) == [path for path in IMAGES if path not in FACELESS]
    for path, row in rows.items():
        pixels = read_image(done.path / path)
        assert pixels.shape == (48, 48)
        assert pixel_digest(pixels) == row.sha256
        if path in TURNED:
            assert row.sha256 != before[path].sha256
            enlarged = BrightDots().detect(np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)))
            (x0, y0), (x1, y1) = enlarged[0].landmarks or ()
            assert abs(math.degrees(math.atan2(y1 - y0, x1 - x0))) < 2.5
        else:
            assert row == before[path]
            assert (done.path / path).stat().st_ino == (faces.path / path).stat().st_ino
    for path in IMAGES:
        assert (faces.path / path).read_bytes() == encode_png(IMAGES[path])


def test_aligning_is_idempotent(faces: Artifact, tmp_path: Path) -> None:
    once = run(faces, tmp_path / "once", align=True)
    twice = run(once, tmp_path / "twice", align=True)
    assert twice.summary["faces"]["removed"] == 0
    assert [row.path for row in read_index(twice)] == [row.path for row in read_index(once)]


def test_result_does_not_depend_on_workers(faces: Artifact, tmp_path: Path) -> None:
    one = run(faces, tmp_path / "one", align=True)
    none = clean(CleanConfig.of(dataset=faces.path, out=tmp_path / "two", workers=0, detector="marked", align=True))
    assert one.manifest.digest == none.manifest.digest
    assert run(faces, tmp_path / "one", align=True).up_to_date
    with pytest.raises(DataError, match="a different dataset already exists"):
        run(faces, tmp_path / "one")


def test_report_only_reports_faces(faces: Artifact, tmp_path: Path) -> None:
    done = run(faces, tmp_path / "out", align=True, report_only=True)
    assert done.summary["faces"]["removed"] == 4
    assert sorted(path.name for path in done.path.iterdir()) == ["artifact.json", "report.html", "report.json"]
    report = json.loads((done.path / "report.json").read_text())
    assert [one["path"] for one in report["removed"] if one["reason"] == "no face"] == FACELESS


def test_faceless_test_image_does_not_remove_its_near_copy(tmp_path: Path) -> None:
    """Its near copy in train is kept, since the copy in test was removed for another reason."""
    bright = with_eyes(4)
    dim = (bright * 0.8).astype(np.uint8)  # its dots are too dim to be detected
    dataset = make_dataset(tmp_path / "faces", {"train/sad/1.png": bright, "test/sad/2.png": dim})
    done = run(dataset, tmp_path / "out", near=True)
    assert done.summary["near"]["test_in_train"] == 1
    assert [row.path for row in read_index(done)] == ["train/sad/1.png"]


def test_rotated_images_become_png_and_parents_are_updated(tmp_path: Path) -> None:
    rows = [Row(path, "train", "sad") for path in ("a/1.jpg", "a/1.png", "a/2.JPG", "a/3.png")]
    assert turned_paths(rows, [0, 1, 2, 3], {0: 20.0, 2: 5.0}) == {0: "a/1-2.png", 2: "a/2.png"}
    dataset = make_dataset(
        tmp_path / "faces",
        {"train/sad/1.jpg": with_eyes(1, 20), "train/sad/2.png": with_eyes(2)},
        {"train/sad/2.png": "train/sad/1.jpg"},
    )
    done = run(dataset, tmp_path / "out", align=True)
    first, second = read_index(done)
    assert (first.path, second.path, second.parent) == ("train/sad/1.png", "train/sad/2.png", "train/sad/1.png")
    assert second.origin == "augmented"


def test_rotation_keeps_colour_and_shape(tmp_path: Path) -> None:
    wide = np.repeat(with_eyes(1, 20, side=64)[8:56, :, None], 3, axis=2)
    dataset = make_dataset(tmp_path / "faces", {"train/sad/1.png": wide})
    (row,) = read_index(run(dataset, tmp_path / "out", align=True))
    assert read_image(tmp_path / "out" / row.path).shape == (48, 64, 3)


@given(st.floats(-170, 170))
def test_rotation_levels_a_line(degrees: float) -> None:
    """Two dots on a line tilted by `degrees` are level after the rotation, in the same order."""
    pixels = np.zeros((101, 101), np.uint8)
    x, y = 30 * math.cos(math.radians(degrees)), 30 * math.sin(math.radians(degrees))
    cv2.circle(pixels, (round(50 + x), round(50 + y)), 4, 255, -1)
    turned = rotate_upright(pixels, degrees)
    down, right = (float(np.average(np.arange(101), weights=turned.sum(axis))) for axis in (1, 0))
    assert abs(down - 50) < 1.2
    assert abs(right - 80) < 1.2


def test_face_that_fills_the_image_is_found_with_a_border() -> None:
    seen: list[tuple[int, ...]] = []

    class Shy(BrightDots):
        def detect(self, pixels: Pixels) -> list[Face]:
            seen.append(pixels.shape)
            return super().detect(pixels) if pixels.shape[0] > SIDE else []

    assert largest_face(Shy(), with_eyes(1)) is not None
    assert seen == [(SIDE, SIDE), (SIDE + 96, SIDE + 96)]
    assert largest_face(BrightDots(), np.zeros((300, 400, 3), np.uint8)) is None
    assert largest_face(BrightDots(), np.zeros((1, 1), np.uint8)) is None


def test_haar_keeps_a_portrait_and_removes_noise_at_48_pixels(tmp_path: Path) -> None:
    portrait = np.asarray(head(48).convert("L"))
    dataset = make_dataset(tmp_path / "faces", {"train/sad/1.png": portrait, "train/sad/2.png": face(2)})
    done = run(dataset, tmp_path / "out", detector="haar")
    assert [row.path for row in read_index(done)] == ["train/sad/1.png"]


# --- errors ---


def test_invalid_calls_are_refused(faces: Artifact, tmp_path: Path) -> None:
    for options, text in (
        ({"detector": None, "align": True}, "need a detector; select one with --detector"),
        ({"detector": None, "weights": faces.path}, "need a detector; select one with --detector"),
        (
            {"detector": "haar", "align": True},
            "haar finds no eyes to align faces by; use --detector yunet or yolov5-face",
        ),
        ({"detector": "har"}, "no detector 'har'; did you mean haar"),
        ({"detector": "haar", "weights": faces.path}, "--weights: haar accepts no weights"),
        ({"detector": "yolo"}, "yolo: pass face weights .* with --weights FILE"),
    ):
        with pytest.raises(UsageError, match=text):
            run(faces, tmp_path / "out", **options)
    with pytest.raises(DataError, match=r"none.onnx: no such weights file"):
        run(faces, tmp_path / "out", detector="yunet", weights=tmp_path / "none.onnx")
    assert not (tmp_path / "out").exists()


def test_missing_weights_error_says_how_to_get_them(faces: Artifact, tmp_path: Path) -> None:
    with pytest.raises(FerError, match=r"fer weights get yunet, or pass --weights FILE"):
        run(faces, tmp_path / "out", detector="yunet")


def test_weights_are_part_of_the_key(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    white = np.full((48, 48), 255, np.uint8)
    dataset = make_dataset(tmp_path / "faces", {"train/sad/1.png": white, "train/sad/2.png": white // 9})
    weights = write_network(tmp_path / "one.onnx", title="one")
    done = run(dataset, tmp_path / "out", detector="yolov5-face", weights=weights)
    assert [one.kind for one in done.manifest.inputs] == ["dataset", "weights"]
    assert len(read_index(done)) == 1
    other = write_network(tmp_path / "two.onnx", title="two")
    with pytest.raises(DataError, match="a different dataset already exists"):
        run(dataset, tmp_path / "out", detector="yolov5-face", weights=other)


def test_dataset_without_any_face_is_an_error(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "faces", {"train/sad/1.png": face(1) // 2, "test/sad/2.png": face(2) // 2})
    with pytest.raises(DataError, match="marked finds no face in any of the 2 images; use another one"):
        run(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_image_is_reported(faces: Artifact, tmp_path: Path) -> None:
    write_tree(faces.path, {"train/happy/1.png": b"no picture"})
    with pytest.raises(DataError, match=r"1\.png.*the dataset is damaged"):
        run(faces, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_command_prints_the_table_and_the_note(faces: Artifact, tmp_path: Path, fer: Callable[..., Any]) -> None:
    ended = fer("clean", faces.path, tmp_path / "out", "--detector", "marked", "--align")
    assert ended.code == 0
    assert "no face detected by marked:" in ended.out
    assert ["sad", "1", "1", "1", "3"] in [line.split() for line in ended.out.splitlines()]
    assert "rotated 3 faces upright" in ended.out
    assert "note: 2 of 3 test images are removed" in ended.out
    summary = json.loads(fer("clean", faces.path, tmp_path / "out", "--detector", "marked", "--align", "--json").out)
    assert summary["faces"]["removed"] == 4
    help_text = fer("clean", "--help").out
    assert "--detector" in help_text
    assert "--weights" in help_text


def test_python_accepts_the_same_options(faces: Artifact, tmp_path: Path) -> None:
    assert fercli.clean(faces.path, tmp_path / "out", detector="marked").summary["faces"]["removed"] == 4
