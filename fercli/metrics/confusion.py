"""The confusion matrix, and the figures that follow from it.

A class that does not occur in the labels has no recall and no F1 (None), and the averages over the classes leave it
out: a perfect model is perfect on a data set without neutral faces too. A class that occurs and was never predicted has
a precision of 0.0, as scikit-learn's `zero_division=0` says, since its F1 is 0. No figure is ever NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Indices = npt.NDArray[np.integer[Any]]
Ratios = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassFigures:
    """What one class against the rest comes to; ratios in 0..1, None where there is nothing to divide by.

    Attributes:
        precision: TP / (TP + FP); None where the class neither occurs nor was predicted.
        recall: TP / (TP + FN), which is also called sensitivity; None where the class does not occur.
        specificity: TN / (TN + FP); None where no other class occurs.
        f1: 2 TP / (2 TP + FP + FN); None where the class does not occur.
        support: Images whose label is this class.
    """

    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class Figures:
    """What a confusion matrix comes to; ratios in 0..1.

    Attributes:
        accuracy: The share of images on the diagonal.
        balanced_accuracy: The mean recall over the classes that occur in the labels (as scikit-learn has it).
        macro_f1: The mean F1 over the same classes (scikit-learn's `f1_score` with these as its `labels`).
        averaged_over: How many classes occur in the labels, which both are the means over.
        per_class: The figures of each class, by emotion, in order.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    averaged_over: int
    per_class: dict[str, ClassFigures]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain dictionaries and numbers, as JSON wants them."""
        return asdict(self)


def confusion_matrix(labels: Indices, predictions: Indices, classes: int) -> Counts:
    """Count how often each class was taken for each.

    Args:
        labels: Integers (N,), 0 to classes - 1.
        predictions: Integers (N,), 0 to classes - 1.
        classes: How many classes there are, C.

    Returns:
        int64 (C, C); rows are the labels, columns the predictions.

    Raises:
        ValueError: the two differ in length, or an index is outside 0 to classes - 1.
    """
    # int64 before multiplying: labels come as uint8, which 7 * 37 already overflows.
    true = labels.astype(np.int64, casting="same_kind").ravel()
    predicted = predictions.astype(np.int64, casting="same_kind").ravel()
    if true.shape != predicted.shape:
        raise ValueError(f"{true.size} labels, but {predicted.size} predictions")
    for name, values in (("label", true), ("prediction", predicted)):
        if values.size and not (values.min() >= 0 and values.max() < classes):
            raise ValueError(f"a {name} is outside 0 to {classes - 1}")
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def macro_f1(confusion: Counts) -> float:
    """Return the mean F1 over the classes that occur in a confusion matrix (C, C); cheap enough for every epoch.

    0.0 where it counts no image.
    """
    support = confusion.sum(axis=1)
    occurs = support > 0
    f1 = _ratio(2 * np.diag(confusion), confusion.sum(axis=0) + support)
    return float(f1[occurs].mean()) if occurs.any() else 0.0


def figures(confusion: Counts, emotions: Sequence[str]) -> Figures:
    """Return all the figures of a confusion matrix.

    Args:
        confusion: (C, C), rows true, columns predicted.
        emotions: The C names, in the matrix's order.

    Raises:
        ValueError: the matrix is not (C, C) for these C emotions.
    """
    if confusion.shape != (len(emotions), len(emotions)):
        raise ValueError(f"a confusion matrix of shape {confusion.shape} for {len(emotions)} emotions")
    n = confusion.sum()
    hits, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    others = n - support  # images of all other classes: TN + FP
    occurs = support > 0
    precision, recall = _ratio(hits, predicted), _ratio(hits, support)
    specificity = _ratio(others - (predicted - hits), others)
    f1 = _ratio(2 * hits, support + predicted)
    return Figures(
        accuracy=float(hits.sum() / n) if n else 0.0,
        balanced_accuracy=float(recall[occurs].mean()) if n else 0.0,
        macro_f1=macro_f1(confusion),
        averaged_over=int(occurs.sum()),
        per_class={
            emotion: ClassFigures(
                precision=float(precision[c]) if support[c] or predicted[c] else None,
                recall=float(recall[c]) if occurs[c] else None,
                specificity=float(specificity[c]) if others[c] else None,
                f1=float(f1[c]) if occurs[c] else None,
                support=int(support[c]),
            )
            for c, emotion in enumerate(emotions)
        },
    )


def _ratio(numerator: Counts, denominator: Counts) -> Ratios:
    """Divide (C,) by (C,); 0.0 where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape, np.float64), where=denominator != 0)
