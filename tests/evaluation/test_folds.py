"""Cross-validations, read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fercli.artifacts import Artifact, open_artifact
from fercli.errors import DataError
from fercli.evaluation.folds import read_cross_validation
from tests.helpers.comparison import make_cross_validation, make_evaluation, make_folds, predict

LABELS = np.arange(24) % 3


def cross_validation(folder: Path, repeats: int = 2, number: int = 4, **options: object) -> Artifact:
    folds = make_folds(repeats, number, len(LABELS))
    predicted = np.stack([predict(LABELS, 0.6, repeat) for repeat in range(repeats)])
    return make_cross_validation(folder, LABELS, predicted, folds, **options)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = read_cross_validation(cross_validation(tmp_path / "cv"))
    assert (found.scheme, found.shape, len(found.folds)) == ("kfold", (2, 4), 8)
    assert [(one.repeat, one.fold, one.train, one.n) for one in found.folds[:2]] == [(1, 1, 18, 6), (1, 2, 18, 6)]
    assert len(found.predictions.paths) == 48
    assert found.test_share == pytest.approx(1 / 3)  # 1 / (K - 1)


def test_the_test_share_counts_neither_balancing_nor_images_held_back(tmp_path: Path) -> None:
    balanced = read_cross_validation(cross_validation(tmp_path / "balanced", train=500))
    assert balanced.test_share == pytest.approx(6 / 18)
    held_back = read_cross_validation(cross_validation(tmp_path / "held", train=12))
    assert held_back.test_share == pytest.approx(6 / 12)


def test_five_by_two_has_five_repeats_of_two_folds(tmp_path: Path) -> None:
    assert read_cross_validation(cross_validation(tmp_path / "a", 5, 2, scheme="5x2")).shape == (5, 2)
    with pytest.raises(DataError, match="8 folds in 2 repeats; expected 5 repeats of 2 folds"):
        read_cross_validation(cross_validation(tmp_path / "b", scheme="5x2"))


def change(artifact: Artifact, name: str, old: str, new: str) -> Artifact:
    """Replace text in a file, and what the manifest says of it."""
    file = artifact.path / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    manifest = json.loads((artifact.path / "artifact.json").read_text())
    manifest["files"].pop(name, None)
    (artifact.path / "artifact.json").write_text(json.dumps(manifest))
    return open_artifact(artifact.path)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("folds.csv", "train,", "trained,", "no column train"),
        ("folds.csv", "1,1,18", "1,1,many", "invalid literal"),
        ("folds.csv", "1,1,18,5,6", "1,1,18", "cannot be read as folds"),
        ("folds.csv", "1,1,18", "1,1,0", "a number below 1"),
        ("folds.csv", "1,2,18", "1,1,18", "a fold is listed twice"),
        ("folds.csv", "1,1,18,5,6", "1,1,18,5,7", "its folds are not those of folds.csv"),
        ("predictions.csv", "path,repeat,fold,label", "path,repeat,folds,label", "columns path, repeat, folds"),
    ],
)
def test_invalid_tables_are_one_line(tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_cross_validation(change(cross_validation(tmp_path / "cv"), name, old, new))


def test_an_image_that_misses_in_a_repeat_is_reported(tmp_path: Path) -> None:
    artifact = cross_validation(tmp_path / "cv")
    with pytest.raises(DataError, match="an image is missing in a repeat"):
        read_cross_validation(change(artifact, "predictions.csv", "train/happy/0.png,1", "train/happy/x.png,1"))


def test_an_unknown_scheme_and_other_predictions_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its scheme is 'holdout'; expected kfold or 5x2"):
        read_cross_validation(cross_validation(tmp_path / "cv", scheme="holdout"))
    other = make_evaluation(tmp_path / "ev", LABELS, LABELS)
    (tmp_path / "cv2").mkdir()
    mixed = cross_validation(tmp_path / "cv2" / "cv")
    (mixed.path / "predictions.csv").write_bytes((other.path / "predictions.csv").read_bytes())
    with pytest.raises(DataError, match="was modified"):
        read_cross_validation(mixed)
