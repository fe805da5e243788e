"""The pictures to explain, and the faces in them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.artifacts import open_artifact
from fercli.artifacts.building import build
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, ImageError
from fercli.faces.base import Face
from fercli.images import Pixels
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack
from fercli.stages.explain import faces as explain_faces
from fercli.stages.explain.config import ExplainConfig
from fercli.stages.explain.faces import FaceLocator
from fercli.stages.explain.ground_truth import GroundTruth
from fercli.stages.explain.sources import Picture, choose, gather
from tests.helpers.datasets import encoded, face, make_dataset, noise, write_tree
from tests.helpers.packs import make_pack

POINTS = ((20.0, 30.0), (40.0, 30.0), (30.0, 45.0), (22.0, 60.0), (38.0, 60.0))


# --- pictures ---


def test_files_and_folders_in_order(tmp_path: Path) -> None:
    folder = {"b/Happiness/2.png": face(1), "b/a.jpg": face(2), "b/.hidden/x.png": face(3), "b/notes.txt": b""}
    root = write_tree(tmp_path, {**folder, "c.png": face(4), "a": encoded(face(5))})
    inputs, pictures = gather((root / "c.png", root / "b", root / "a"), "validation")
    assert [(p.path, p.emotion, p.face) for p in pictures] == [
        ((root / "c.png").as_posix(), "", False),
        ((root / "b/Happiness/2.png").as_posix(), "happy", False),
        ((root / "b/a.jpg").as_posix(), "", False),
        ((root / "a").as_posix(), "", False),  # given explicitly, so read whatever its suffix
    ]
    assert np.array_equal(pictures[-1].read(), face(5))
    assert [item.kind for item in inputs] == ["raw"] * 3
    assert len({item.digest for item in inputs}) == 3


def test_split_of_a_dataset(tmp_path: Path) -> None:
    images = {"train/happy/1.png": face(1), "validation/sad/2.png": face(2), "validation/fear/3.png": face(3)}
    dataset = make_dataset(tmp_path / "faces", images)
    inputs, pictures = gather((dataset.path,), "validation")
    assert [(p.emotion, p.face) for p in pictures] == [("sad", True), ("fear", True)]
    assert np.array_equal(pictures[0].read(), face(2))
    assert inputs[0].digest == dataset.manifest.digest
    with pytest.raises(DataError, match="has no test split; it has train, validation: choose one with --split"):
        gather((dataset.path,), "test")


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_split_of_a_pack(color: str, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"train": 3, "validation": 9}, color=color)
    _, pictures = gather((pack.path,), "validation")
    whole = read_split(open_pack(pack), "validation")
    assert [p.path for p in pictures] == whole.paths
    assert [p.emotion for p in pictures] == [EMOTIONS[i % 7] for i in range(9)]
    assert all(np.array_equal(p.read(), image) for p, image in zip(pictures, whole.images, strict=True))
    with pytest.raises(DataError, match="the pack has no test split"):
        gather((pack.path,), "test")


def test_split_of_synthetic_photographs(tmp_path: Path) -> None:
    with build(tmp_path / "drawn", "photographs", "sample", options={}, inputs=[]) as builder:
        tree = {"validation/sad/1.png": face(1), "train/sad/2.png": face(2), "contact-sheet.png": b""}
        write_tree(builder.folder, tree)
        builder.finish(digest="0")
    _, pictures = gather((tmp_path / "drawn",), "validation")
    assert [(Path(p.path).name, p.emotion, p.face) for p in pictures] == [("1.png", "sad", False)]
    with pytest.raises(DataError, match="no test split"):
        gather((tmp_path / "drawn",), "test")


def test_sources_without_pictures_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_tree(tmp_path / "texts", {"a.txt": b"a"})
    pack = make_pack(tmp_path / "pack", {"validation": 0})
    with build(tmp_path / "run", "run", "train", options={}, inputs=[]) as builder:
        builder.finish(digest="0")
    for name, message in [
        ("empty", "contains no pictures"),
        ("texts", "contains no pictures"),
        ("pack", "contains no pictures"),
        ("nothing", "no such picture or folder"),
        ("run", "is a run; expected a dataset or pack or photographs"),
    ]:
        with pytest.raises(DataError, match=message):
            gather((tmp_path / name,), "validation")
    assert open_artifact(pack.path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["happy", "sad", ""]), min_size=1, max_size=40), st.integers(1, 45), st.integers(0, 99))
def test_limit_is_balanced_over_emotions(emotions: list[str], limit: int, seed: int) -> None:
    pictures = [Picture(str(number), lambda: face(0), emotion) for number, emotion in enumerate(emotions)]
    chosen = choose(pictures, limit, seed)
    assert len(chosen) == min(limit, len(pictures))
    assert [int(p.path) for p in chosen] == sorted({int(p.path) for p in chosen})
    assert chosen == choose(pictures, limit, seed)
    counts, available = Counter(p.emotion for p in chosen), Counter(emotions)
    for emotion, count in counts.items():  # within one of the others, unless all are used
        assert count == available[emotion] or all(counts[other] <= count + 1 for other in counts)
    assert choose(pictures, None, seed) == pictures


def test_sample_depends_on_the_seed() -> None:
    pictures = [Picture(str(number), lambda: face(0), "happy") for number in range(100)]
    assert choose(pictures, 10, 0) != choose(pictures, 10, 1)


# --- faces ---


class Stub:
    """A detector that returns the given faces, except for black images."""

    name = "stub"

    def __init__(self, faces: list[Face]) -> None:
        self.faces, self.calls = faces, 0

    def detect(self, pixels: Pixels) -> list[Face]:
        self.calls += 1
        return self.faces if pixels.max() > 0 else []


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    detector = Stub([Face((10, 20, 40, 40), 1.0, POINTS), Face((50, 10, 20, 30), 0.5)])
    monkeypatch.setattr(explain_faces, "create_detector", lambda name, weights: detector)
    return detector


def locator(**options: object) -> FaceLocator:
    return FaceLocator(ExplainConfig.of(**options), 48)


def picture(pixels: Pixels, **fields: bool) -> Picture:
    return Picture("p.png", lambda: pixels, **fields)


@pytest.mark.parametrize(
    ("shape", "is_face"),
    [((48, 48), True), ((64, 40), True), ((65, 40), False), ((256, 256, 3), True), ((257, 257), False), ((1, 1), True)],
)
def test_small_and_square_pictures_are_faces(shape: tuple[int, ...], is_face: bool, stub: Stub) -> None:
    found = locator().find(picture(noise(0, *shape)))
    assert stub.calls == (not is_face)
    assert len(found) == (1 if is_face else 2)
    if is_face:
        assert (found[0].box, found[0].landmarks) == (None, None)
        assert found[0].pixels.shape[0] == found[0].pixels.shape[1] == max(shape[:2])


def test_faces_option_overrides_the_size_rule(stub: Stub) -> None:
    small, large = picture(noise(0, 90, 90)), picture(noise(0, 300, 200))
    assert len(locator(faces="photograph").find(small)) == 2
    assert len(locator(faces="crop").find(large)) == 1
    assert len(locator().find(picture(noise(0, 300, 200), face=True))) == 1  # from a dataset
    assert len(locator(faces="photograph").find(picture(noise(0, 300, 200), face=True))) == 2


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_faces_are_cropped_with_their_landmarks(color: str, stub: Stub) -> None:
    shape = (100, 120) if color == "gray" else (100, 120, 3)
    first, second = locator().find(picture(noise(0, *shape)))
    assert first.pixels.shape == (224, 224, *shape[2:])
    assert (first.box, second.box) == ((10, 20, 40, 40), (50, 10, 20, 30))
    assert second.landmarks is None
    expected = [((x - 10) / 40, (y - 20) / 40) for x, y in POINTS]
    assert first.landmarks == tuple(pytest.approx(point) for point in expected)


def test_photograph_without_a_face_is_an_error(stub: Stub) -> None:
    with pytest.raises(ImageError, match=r"p\.png: stub detects no face; for a cropped face use --faces crop") as error:
        locator().find(picture(np.zeros((100, 120), np.uint8)))
    assert error.value.reason == "no face"


# --- ground truth of synthetic faces ---

HEADER = "path,split,emotion,face,left,top,width,height," + ",".join(
    f"{point}_{axis}" for point in ("eye1", "eye2", "nose", "mouth1", "mouth2") for axis in "xy"
)


def drawn_row(path: str, left: float) -> str:
    points = ",".join(f"{left + x},{y}" for x, y in POINTS)
    return f"{path},train,sad,0,{left},20,40,40,{points}"


def test_true_landmarks_of_a_detected_face(tmp_path: Path) -> None:
    photograph = tmp_path / "train" / "sad" / "1.jpg"
    rows = [HEADER, drawn_row("train/sad/1.jpg", 10), drawn_row("train/sad/1.jpg", 60), drawn_row("other.jpg", 200)]
    (tmp_path / "truth.csv").write_text("\n".join(rows) + "\n")
    truth = GroundTruth()
    for left in (10, 60):
        found = truth.landmarks(photograph, Face((left - 5, 10, 50, 50), 1.0))
        assert found == tuple((left + x, y) for x, y in POINTS)
    assert truth.landmarks(photograph, Face((200, 20, 40, 40), 1.0)) is None  # another photograph's
    assert truth.landmarks(photograph, Face((32, 40, 40, 40), 1.0)) is None  # between the two
    assert truth.landmarks(tmp_path / "train" / "sad" / "2.jpg", Face((10, 20, 40, 40), 1.0)) is None
    assert truth.landmarks(None, Face((10, 20, 40, 40), 1.0)) is None


@pytest.mark.parametrize("text", ["", "path,left\na,1\n", HEADER + "\na,b\n", HEADER + "\n" + "x," * 18, "\0\n\xff"])
def test_invalid_ground_truth_is_ignored(text: str, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_bytes(text.encode("latin-1"))
    assert GroundTruth().landmarks(tmp_path / "a", Face((0, 0, 9, 9), 1.0)) is None
