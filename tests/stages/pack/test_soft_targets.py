"""`fercli.pack` with soft targets from a cross-validation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.datasets.index import read_index
from fercli.errors import DataError, UsageError
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack
from tests.helpers.crossvalidation import OPTIONS, make_faces, rows_of
from tests.helpers.datasets import make_dataset, noise

Crossed = tuple[Artifact, Artifact]


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Crossed:
    """A dataset and a cross-validation of its train images, with two repeats."""
    folder = tmp_path_factory.mktemp("soft")
    dataset = make_faces(folder / "faces")
    options = OPTIONS | {"folds": 2, "repeats": 2, "splits": "train"}
    return dataset, fercli.crossvalidate(dataset, folder / "cross", **options)


def test_targets_are_the_label_and_the_mean_prediction(crossed: Crossed, tmp_path: Path) -> None:
    dataset, cross = crossed
    pack = fercli.pack(dataset, tmp_path / "pack", soft_targets=cross.path, soft_share=0.7)
    faces = read_split(open_pack(pack), "train")
    assert faces.votes is not None
    names = pack.manifest.emotions
    by_path: dict[str, list[np.ndarray]] = {}
    for row in rows_of(cross, "predictions.csv"):
        by_path.setdefault(row["path"], []).append(np.array([float(row[name]) for name in names]))
    agree = 0
    for path, label, target in zip(faces.paths, faces.labels, faces.votes, strict=True):
        predicted = np.mean(by_path[path], 0)
        assert len(by_path[path]) == 2
        np.testing.assert_allclose(target, 0.7 * np.eye(len(names))[label] + 0.3 * predicted, atol=1e-5)
        agree += int(predicted.argmax() == label)
    assert read_split(open_pack(pack), "validation").votes is None
    assert pack.summary["soft_targets"] == {
        "images": len(faces.paths),
        "share": 0.7,
        "agreement": pytest.approx(agree / len(faces.paths)),
    }
    assert [item.name for item in pack.manifest.inputs] == ["dataset", "crossvalidation"]
    assert fercli.pack(dataset, tmp_path / "pack", soft_targets=cross.path, soft_share=0.7).up_to_date
    with pytest.raises(DataError, match="a different pack already exists"):
        fercli.pack(dataset, tmp_path / "pack")


def test_augmented_copies_have_the_prediction_of_their_original(crossed: Crossed, tmp_path: Path) -> None:
    dataset, cross = crossed
    balanced = fercli.balance(dataset, tmp_path / "balanced", policy="16")
    pack = fercli.pack(balanced, tmp_path / "pack", soft_targets=cross.path, soft_share=0)
    faces = read_split(open_pack(pack), "train")
    assert faces.votes is not None
    target = dict(zip(faces.paths, faces.votes, strict=True))
    copies = [row for row in read_index(balanced) if row.parent]
    assert copies
    for row in copies:
        np.testing.assert_array_equal(target[row.path], target[row.parent])


def test_the_run_trains_on_them(crossed: Crossed, tmp_path: Path) -> None:
    dataset, cross = crossed
    pack = fercli.pack(dataset, tmp_path / "pack", soft_targets=cross.path)
    run = fercli.train(pack, tmp_path / "run", model="quick", reduced=True, epochs=1, device="cpu")
    assert run.summary["targets"] == "votes"


def test_models_that_saw_validation_or_test_images_are_refused(crossed: Crossed, tmp_path: Path) -> None:
    dataset, _ = crossed
    both = fercli.crossvalidate(dataset, tmp_path / "both", **(OPTIONS | {"folds": 2}))
    with pytest.raises(DataError, match=r"both: its models were trained on \d+ images that are in validation here"):
        fercli.pack(dataset, tmp_path / "pack", soft_targets=both.path)
    assert not (tmp_path / "pack").exists()


def test_another_datasets_cross_validation_is_refused(crossed: Crossed, tmp_path: Path) -> None:
    _, cross = crossed
    other = make_dataset(
        tmp_path / "other",
        {f"train/{name}/1.png": noise(number, 16, 16) for number, name in enumerate(("happy", "sad"))},
    )
    with pytest.raises(DataError, match=r"cross: is not a cross-validation of .*other.*--splits train"):
        fercli.pack(other, tmp_path / "pack", soft_targets=cross.path)


def test_a_modified_file_is_refused(crossed: Crossed, tmp_path: Path) -> None:
    dataset, cross = crossed
    copy = tmp_path / "copy"
    shutil.copytree(cross.path, copy)
    file = copy / "predictions.csv"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match="was modified after it was written"):
        fercli.pack(dataset, tmp_path / "pack", soft_targets=copy)


def test_share_without_a_cross_validation_is_refused(crossed: Crossed, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="soft-share: give the cross-validation with soft-targets too"):
        fercli.pack(crossed[0], tmp_path / "pack", soft_share=0.2)
