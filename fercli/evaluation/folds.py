"""Reading a cross-validation: its folds and out-of-fold predictions. Imported without torch."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fercli.artifacts import Artifact
from fercli.artifacts.key_metrics import mapping, number
from fercli.errors import DataError, shorten
from fercli.evaluation.reading import PREDICTIONS, Predictions, check_unmodified, read_predictions
from fercli.files import open_text

FOLDS = "folds.csv"
KFOLD, FIVE_BY_TWO = "kfold", "5x2"
_NUMBERS = ("repeat", "fold", "train", "n")


@dataclass(frozen=True)
class Fold:
    """One fold: its repeat and number from 1, and how many images it was trained and tested on."""

    repeat: int
    fold: int
    train: int
    n: int


@dataclass(frozen=True)
class CrossValidation:
    """A cross-validation.

    Attributes:
        artifact: The artifact.
        scheme: kfold or 5x2.
        folds: The folds of all repeats, in the order of repeat and fold.
        predictions: Out-of-fold predictions, each image once per repeat.
    """

    artifact: Artifact
    scheme: str
    folds: tuple[Fold, ...]
    predictions: Predictions

    @property
    def noise(self) -> float:
        """The rate of label noise of its predictions: with several rates the lowest; 0 without noise."""
        return number(mapping(self.artifact.summary.get("noise")).get("rate")) or 0.0

    @property
    def noise_rates(self) -> int:
        """How many rates of label noise it has, with that of its predictions."""
        return len(mapping(self.artifact.summary.get("noise")).get("rates", ())) or 1

    @property
    def shape(self) -> tuple[int, int]:
        """The number of repeats and of folds in each."""
        return max(one.repeat for one in self.folds), max(one.fold for one in self.folds)

    @property
    def test_share(self) -> float:
        """Test images over training images, n2 / n1 of Nadeau and Bengio (2003), averaged over the folds.

        Images that balancing added to a training set repeat others, so at most all images outside the fold are counted;
        images held back for selection are not trained on, and not counted.
        """
        total = len(self.predictions.paths) / self.shape[0]
        return float(np.mean([one.n / min(one.train, total - one.n) for one in self.folds]))


def read_cross_validation(artifact: Artifact) -> CrossValidation:
    """Read a cross-validation, and check that its folds and predictions belong together.

    Raises:
        DataError: a file is missing, was modified or is invalid, or the two disagree.
    """
    scheme = artifact.summary.get("scheme")
    if scheme not in (KFOLD, FIVE_BY_TWO):
        raise DataError(f"{artifact.path}: its scheme is {scheme!r}; expected {KFOLD} or {FIVE_BY_TWO}")
    path = check_unmodified(artifact, FOLDS)
    folds = _read_folds(path)
    predictions = read_predictions(artifact)
    file = artifact.path / PREDICTIONS
    if predictions.repeats is None or predictions.folds is None:
        raise DataError(f"{file}: has no columns repeat and fold; re-create the crossvalidation")
    found = CrossValidation(artifact, scheme, tuple(sorted(folds, key=lambda one: (one.repeat, one.fold))), predictions)
    pairs = zip(predictions.repeats.tolist(), predictions.folds.tolist(), strict=True)
    counts: dict[tuple[int, int], int] = {}
    for pair in pairs:
        counts[pair] = counts.get(pair, 0) + 1
    if counts != {(one.repeat, one.fold): one.n for one in found.folds}:
        raise DataError(f"{file}: its folds are not those of {FOLDS}; re-create the crossvalidation")
    repeats, number = found.shape
    if len(found.folds) != repeats * number or number < 2 or (scheme == FIVE_BY_TWO and found.shape != (5, 2)):
        expected = "5 repeats of 2 folds" if scheme == FIVE_BY_TWO else "the same number of folds, at least 2, in each"
        raise DataError(f"{path}: {len(found.folds)} folds in {repeats} repeats; expected {expected}")
    if len({(key[0], key[2]) for key in predictions.keys}) != repeats * len(set(predictions.paths)):
        raise DataError(f"{file}: an image is missing in a repeat; re-create the crossvalidation")
    return found


def _read_folds(path: Path) -> list[Fold]:
    try:
        with open_text(path, newline="") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            if missing := [name for name in _NUMBERS if name not in header]:
                raise ValueError(f"no column {missing[0]}; columns {shorten(', '.join(header), 80) or 'missing'}")
            folds = [Fold(*(int(row[name]) for name in _NUMBERS)) for row in reader]
    except (OSError, csv.Error, ValueError, TypeError) as error:  # TypeError: a row with too few cells
        raise DataError(f"{path}: cannot be read as folds ({error}); re-create the crossvalidation") from error
    if not folds or min(min(one.repeat, one.fold, one.train, one.n) for one in folds) < 1:
        raise DataError(f"{path}: no folds, or a number below 1; re-create the crossvalidation")
    if len({(one.repeat, one.fold) for one in folds}) < len(folds):
        raise DataError(f"{path}: a fold is listed twice; re-create the crossvalidation")
    return folds
