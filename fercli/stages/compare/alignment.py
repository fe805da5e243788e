"""The same images on all sides, in one order: what a paired comparison rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fercli.errors import DataError
from fercli.evaluation.reading import Predictions
from fercli.stages.compare.members import Member

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Aligned:
    """The predictions of all sides for the same N rows: images, or of cross-validations images in each repeat.

    Attributes:
        emotions: The C emotions.
        paths: N paths within the dataset.
        labels: (N,).
        predicted: For each side the classes that its S members predict, (S, N).
        mean: For each side the mean probabilities of its members, (N, C).
        splits: The split of each image, if there are several.
        fold: Of cross-validations the fold of each row, (N,), numbered over all repeats from 0.
        folds: Number of folds in each repeat; 0 without cross-validation.
        repeats: Number of repeats; 1 without cross-validation.
        scheme: Of cross-validations kfold or 5x2; otherwise empty.
        test_share: Of cross-validations the mean of test images over training images.
    """

    emotions: tuple[str, ...]
    paths: list[str]
    labels: Integers
    predicted: tuple[Integers, ...]
    mean: tuple[npt.NDArray[np.float64], ...]
    splits: list[str] | None = None
    fold: Integers | None = None
    folds: int = 0
    repeats: int = 1
    scheme: str = ""
    test_share: float = 0.0

    def subset(self, rows: npt.NDArray[np.bool_]) -> Aligned:
        """Return the rows that are marked, (N,)."""
        at = np.flatnonzero(rows)
        return replace(
            self,
            paths=[self.paths[row] for row in at],
            labels=self.labels[at],
            predicted=tuple(one[:, at] for one in self.predicted),
            mean=tuple(one[at] for one in self.mean),
            splits=[self.splits[row] for row in at] if self.splits else None,
            fold=None if self.fold is None else self.fold[at],
        )


def align(members: Sequence[Sequence[Member]]) -> Aligned:
    """Bring all members' predictions into the order of the first, after checking that they are of the same images.

    Raises:
        DataError: the splits, emotions, images, labels or folds differ.
    """
    first = members[0][0]
    for member in (one for side in members for one in side):
        _check(first, member)
    order = first.predictions
    found = [[_in_order(order, one.predictions) for one in side] for side in members]
    aligned = Aligned(
        order.emotions,
        order.paths,
        order.labels,
        tuple(np.stack([one.predicted for one in side]) for side in found),
        tuple(np.mean([one.probabilities for one in side], 0) for side in found),
        order.splits,
    )
    if first.validation is None or order.repeats is None or order.folds is None:
        return aligned
    repeats, folds = first.validation.shape
    return replace(
        aligned,
        fold=(order.repeats - 1) * folds + order.folds - 1,
        folds=folds,
        repeats=repeats,
        scheme=first.validation.scheme,
        # The least favourable side: with more test images for each training image the variance is larger.
        test_share=max(one.validation.test_share for side in members for one in side if one.validation),
    )


def _check(first: Member, other: Member) -> None:
    a, b = first.predictions, other.predictions
    here, there = first.artifact.path, other.artifact.path
    if first.split != other.split:
        raise DataError(
            f"{here} is of the {first.split} split, but {there} of {other.split}; only figures of the same images can "
            "be compared"
        )
    if set(a.emotions) != set(b.emotions):
        differ = ", ".join(sorted(set(a.emotions) ^ set(b.emotions)))
        raise DataError(f"{here} and {there}: their emotions differ in {differ}; compare models of the same emotions")
    if first.validation and other.validation and first.validation.scheme != other.validation.scheme:
        raise DataError(
            f"{here} is a {first.validation.scheme} cross-validation, but {there} {other.validation.scheme}; use one "
            "scheme for both"
        )
    if first.validation and other.validation and first.validation.noise != other.validation.noise:
        raise DataError(
            f"{here} was trained with label noise {first.validation.noise:g}, but {there} with "
            f"{other.validation.noise:g}; cross-validate both at one rate"
        )
    _check_images(first, other)


def _check_images(first: Member, other: Member) -> None:
    """Check that both have the same images with the same labels, and in cross-validations the same folds."""
    a, b = (_facts(one.predictions) for one in (first, other))
    here, there = first.artifact.path, other.artifact.path
    if missing := sorted(a.keys() ^ b.keys()):
        where = here if missing[0] in a else there
        raise DataError(
            f"{here} and {there}: not the same images: {len(missing):,} of {len(a.keys() | b.keys()):,} are in one "
            f"only (such as {missing[0][0]}, in {where}); evaluate both on the same pack"
        )
    differ = [key for key in a if a[key][0] != b[key][0]]
    if differ:
        raise DataError(
            f"{here} and {there}: {len(differ):,} of {len(a):,} labels differ (such as {differ[0][0]}: "
            f"{a[differ[0]][0]}, {b[differ[0]][0]}); evaluate both on the same pack"
        )
    moved = [key for key in a if a[key][1] != b[key][1]]
    if moved:
        raise DataError(
            f"{here} and {there}: {len(moved):,} of {len(a):,} images are in different folds (such as {moved[0][0]}); "
            "cross-validate both with the same dataset, folds and seed"
        )


def _facts(predictions: Predictions) -> dict[tuple[str, str, int], tuple[str, int]]:
    """Return the label's name and the fold (0 if there are none) of each row."""
    folds = [0] * len(predictions.paths) if predictions.folds is None else predictions.folds.tolist()
    names = [predictions.emotions[label] for label in predictions.labels]
    return dict(zip(predictions.keys, zip(names, folds, strict=True), strict=True))


def _in_order(order: Predictions, predictions: Predictions) -> Predictions:
    place = {key: row for row, key in enumerate(predictions.keys)}
    return predictions.reordered([place[key] for key in order.keys], order.emotions)
