"""`fer sample`: output, reproducibility and usefulness."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.index import SPLITS
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, UsageError
from fercli.faces.action_units import EMOTION_UNITS, UNITS
from fercli.faces.synthetic.photograph import render_photograph
from fercli.images import as_color, read_image
from fercli.stages.sample.contact_sheet import SHEET
from fercli.stages.sample.tasks import plan_tasks, sample_person
from fercli.stages.sample.truth import COLUMNS, TRUTH
from tests.helpers.cli import CliResult
from tests.helpers.datasets import ROOT, names, python

Row = dict[str, str]
Box = tuple[float, ...]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return fercli.sample(tmp_path_factory.mktemp("sample") / "photographs", images=63, workers=1)


def truth(artifact: Artifact) -> list[Row]:
    with (artifact.path / TRUTH).open(newline="") as file:
        return list(csv.DictReader(file))


def box_of(row: Row) -> Box:
    return tuple(float(row[name]) for name in ("left", "top", "width", "height"))


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def payload(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "artifact.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- output ---


@pytest.mark.slow
def test_files_counts_and_summary(photographs: Artifact) -> None:
    manifest = open_artifact(photographs.path, "photographs").manifest
    rows = truth(photographs)
    found = Counter(tuple(path.split("/")[:2]) for path in {row["path"] for row in rows})
    assert manifest.counts == {split: {e: found[split, e] for e in EMOTIONS} for split in SPLITS}
    assert photographs.summary == {
        "images": {"train": 49, "validation": 7, "test": 7}, "faces": len(rows), "emotions": list(EMOTIONS)
    }  # fmt: skip
    on_disk = {path.relative_to(photographs.path).as_posix() for path in photographs.path.rglob("*.jpg")}
    assert on_disk == {row["path"] for row in rows}
    assert names(photographs.path) == sorted([*SPLITS, TRUTH, SHEET, "artifact.json"])
    assert manifest.emotions == list(EMOTIONS)
    assert (manifest.seed, manifest.inputs) == (0, [])


@pytest.mark.slow
def test_truth_matches_the_images(photographs: Artifact) -> None:
    rows = truth(photographs)
    assert tuple(rows[0]) == COLUMNS
    faces: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        height, width = read_image(photographs.path / row["path"]).shape[:2]
        left, top, wide, high = box_of(row)
        assert 0 <= left < left + wide <= width
        assert 0 <= top < top + high <= height
        points = {p: (float(row[f"{p}_x"]), float(row[f"{p}_y"])) for p in ("eye1", "eye2", "nose", "mouth1", "mouth2")}
        assert all(left < x < left + wide and top < y < top + high for x, y in points.values())
        assert points["eye1"][0] < points["eye2"][0]
        assert points["mouth1"][0] < points["mouth2"][0]
        assert max(points["eye1"][1], points["eye2"][1]) < points["nose"][1]
        assert points["nose"][1] < (points["mouth1"][1] + points["mouth2"][1]) / 2
        assert row["path"].startswith(f"{row['split']}/{row['emotion']}/{row['emotion']}-")
        active = {number for number in UNITS if float(row[f"au{number}"])}
        assert active - {25} == set(EMOTION_UNITS[row["emotion"]])
        intensity = float(row["intensity"])
        assert intensity == 0 if row["emotion"] == "neutral" else 0.5 <= intensity <= 1
        faces[row["path"]].append(int(row["face"]))
    assert all(numbers == list(range(len(numbers))) for numbers in faces.values())
    assert {len(numbers) for numbers in faces.values()} == {1, 2, 3}


@pytest.mark.slow
def test_splits_have_different_people(photographs: Artifact) -> None:
    splits = defaultdict(set)
    for row in truth(photographs):
        splits[row["person"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    # Not only in name: they also look different.
    people = [sample_person(0, split, number) for split in SPLITS for number in range(40)]
    assert len({person.seed for person in people}) == len({person.skin for person in people}) == len(people)


def test_contact_sheet_has_a_row_per_emotion(photographs: Artifact) -> None:
    sheet = read_image(photographs.path / SHEET)
    assert sheet.shape[1] > sheet.shape[0] > 7 * 100
    assert as_color(sheet, "gray").std() > 40


# --- reproducibility ---


@pytest.mark.slow
def test_output_is_independent_of_workers(tmp_path: Path) -> None:
    one = fercli.sample(tmp_path / "one", images=21, seed=3, workers=0)
    two = fercli.sample(tmp_path / "two", images=21, seed=3, workers=2)
    assert payload(one.path) == payload(two.path)
    assert one.manifest.digest == two.manifest.digest
    assert fercli.sample(tmp_path / "one", images=21, seed=3, workers=7).up_to_date
    with pytest.raises(DataError, match="a different photographs already exists"):
        fercli.sample(tmp_path / "one", images=21, seed=4)
    other = fercli.sample(tmp_path / "one", images=21, seed=4, workers=1, overwrite=True)
    assert not set(payload(other.path).values()) & set(payload(two.path).values())


@pytest.mark.slow
def test_can_be_called_at_the_top_level_of_a_script(tmp_path: Path) -> None:
    """Worker processes do not run the caller's script again."""
    script = tmp_path / "script.py"
    script.write_text(f"import fercli\nprint(fercli.sample({str(tmp_path / 'out')!r}, images=21, workers=2).summary)\n")
    process = python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.count("faces") == 1


@pytest.mark.parametrize("images", [21, 22, 70, 700])
def test_plan_is_balanced_and_complete(images: int) -> None:
    tasks = plan_tasks(images)
    assert len({task.path for task in tasks}) == images
    cells = Counter((task.split, task.emotion) for task in tasks)
    assert len(cells) == 21
    by_emotion = [sum(cells[split, emotion] for split in SPLITS) for emotion in EMOTIONS]
    assert max(by_emotion) - min(by_emotion) <= 1
    if images == 700:
        assert {split: cells[split, "sad"] for split in SPLITS} == {"train": 80, "validation": 10, "test": 10}


# --- usefulness ---


@pytest.mark.long
def test_haar_detects_the_faces_with_few_false_positives(photographs: Artifact) -> None:
    haar = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    boxes = defaultdict(list)
    for row in truth(photographs):
        boxes[row["path"]].append(box_of(row))
    hits = faces = wrong = 0
    for path, known in boxes.items():
        grey = cv2.equalizeHist(as_color(read_image(photographs.path / path), "gray"))
        found = [tuple(map(float, box)) for box in haar.detectMultiScale(grey, 1.1, 5, minSize=(30, 30))]
        faces += len(known)
        hits += sum(any(iou(box, one) >= 0.4 for one in found) for box in known)
        wrong += sum(all(iou(box, one) < 0.4 for box in known) for one in found)
    assert hits >= 0.93 * faces
    assert wrong <= 0.05 * faces


@pytest.mark.long
def test_emotions_generalise_to_other_people(photographs: Artifact) -> None:
    """A linear classifier on 48-pixel grey crops, trained on other people, is far better than chance, 1 in 7."""
    faces, labels = [], []
    for k in range(168):
        emotion = EMOTIONS[k % 7]
        generator = np.random.default_rng([5, k])
        pixels, found = render_photograph(emotion, 100, lambda number: sample_person(5, "test", number), generator)
        faces += [crop(pixels, face.box) for face in found]
        labels += [emotion] * len(found)
    tested = [
        (crop(read_image(photographs.path / row["path"]), box_of(row)), row["emotion"]) for row in truth(photographs)
    ]
    model = make_pipeline(PCA(60, random_state=0), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    model.fit(np.array(faces), labels)
    right = model.predict(np.array([face for face, _ in tested])) == [emotion for _, emotion in tested]
    assert right.mean() > 0.6


def crop(pixels: np.ndarray, box: Box) -> np.ndarray:
    left, top, wide, high = (round(value) for value in box)
    face = as_color(pixels, "gray")[top : top + high, left : left + wide]
    small = cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    return (small - small.mean()) / small.std()


# --- errors ---


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"images": 20}, "images: input should be greater than or equal to 21"),
        ({"images": 10**9}, "images: input should be less than or equal to"),
        ({"images": "many"}, "images: input should be a valid integer"),
        ({"seed": -1}, "seed: input should be greater"),
        ({"workers": -1}, "workers: input should be greater"),
        ({"faces": 3}, "faces: no such option"),
    ],
)
def test_invalid_options_are_errors(tmp_path: Path, options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        fercli.sample(tmp_path / "out", **options)
    assert names(tmp_path) == []


def test_existing_output_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "holiday.jpg").write_bytes(b"all of it")
    with pytest.raises(DataError, match="already exists and is not a fercli artifact"):
        fercli.sample(tmp_path / "out", images=21, overwrite=True)
    assert names(tmp_path / "out") == ["holiday.jpg"]


@pytest.mark.slow
def test_command(fer: Callable[..., CliResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = fer("sample", "--images", "21", "--workers", "1", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["images"] == {"train": 7, "validation": 7, "test": 7}
    assert ended.lines[0].startswith("writing artifacts/sample-")
    (created,) = (tmp_path / "artifacts").iterdir()
    again = fer("sample", created, "--images", "21")
    assert "up to date" in again.out
    assert "see contact-sheet.png" in again.out
    assert fer("sample", tmp_path / "x", "--images", "3").code == 2


@pytest.mark.slow
def test_torch_is_not_imported() -> None:
    code = "import sys, fercli.stages.sample.stage; assert 'torch' not in sys.modules"
    process = python(code, cwd=ROOT)
    assert process.wait() == 0
