"""The confusion matrix, and the metrics computed from it.

A class that does not occur in the labels has no recall and no F1 (None), and is excluded from averages over
classes: a perfect model scores 1.0 even on a dataset without neutral faces. A class that occurs but is never predicted
has a precision of 0.0, as with scikit-learn's `zero_division=0`, since its F1 is 0. No metric is ever NaN.
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
class ClassMetrics:
    """The metrics of one class against the rest; ratios in 0..1, None where the denominator is zero.

    Attributes:
        precision: TP / (TP + FP); None if the class neither occurs nor was predicted.
        recall: TP / (TP + FN), also called sensitivity; None if the class does not occur.
        specificity: TN / (TN + FP); None if no other class occurs.
        f1: 2 TP / (2 TP + FP + FN); None if the class does not occur.
        support: Number of images with this label.
    """

    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class ClassificationMetrics:
    """The metrics of a confusion matrix; ratios in 0..1.

    Attributes:
        accuracy: The fraction of images on the diagonal.
        balanced_accuracy: The mean recall over the classes that occur in the labels (as in scikit-learn).
        macro_f1: The mean F1 over the same classes (scikit-learn's `f1_score` with these as its `labels`).
        averaged_over: Number of classes that occur in the labels, over which both are averaged.
        per_class: The metrics of each class, by emotion, in order.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    averaged_over: int
    per_class: dict[str, ClassMetrics]

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as plain dictionaries and numbers, for JSON."""
        return asdict(self)


def confusion_matrix(labels: Indices, predictions: Indices, classes: int) -> Counts:
    """Count how often each class was predicted as each class.

    Args:
        labels: Integers (N,), 0 to classes - 1.
        predictions: Integers (N,), 0 to classes - 1.
        classes: Number of classes, C.

    Returns:
        int64 (C, C); rows are the labels, columns the predictions.

    Raises:
        ValueError: the two differ in length, or an index is outside 0 to classes - 1.
    """
    # int64 before multiplying: labels are uint8, which 7 * 37 already overflows.
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

    0.0 for an empty matrix.
    """
    support = confusion.sum(axis=1)
    occurs = support > 0
    f1 = _ratio(2 * np.diag(confusion), confusion.sum(axis=0) + support)
    return float(f1[occurs].mean()) if occurs.any() else 0.0


def metric_values(confusions: npt.NDArray[Any]) -> Ratios:
    """Return accuracy, balanced accuracy, macro F1 and each class's recall of many confusion matrices at once.

    Args:
        confusions: (..., C, C), rows true, columns predicted; counts of any type.

    Returns:
        (..., 3 + C). A recall is NaN where its class does not occur, and is excluded from the averages, as in
        `classification_metrics`; of an empty matrix everything is NaN.
    """
    correct = np.diagonal(confusions, axis1=-2, axis2=-1).astype(np.float64)
    support, predicted = confusions.sum(-1, dtype=np.float64), confusions.sum(-2, dtype=np.float64)
    occurs = support > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(occurs, correct / support, np.nan)
        f1 = np.where(occurs, 2 * correct / (support + predicted), 0.0)
        count = occurs.sum(-1)
        accuracy = correct.sum(-1) / support.sum(-1)
        balanced = np.where(occurs, recall, 0.0).sum(-1) / count
        means = np.stack([accuracy, balanced, f1.sum(-1) / count], -1)
    return np.concatenate([means, recall], -1)


def classification_metrics(confusion: Counts, emotions: Sequence[str]) -> ClassificationMetrics:
    """Return the metrics of a confusion matrix.

    Args:
        confusion: (C, C), rows true, columns predicted.
        emotions: The C names, in the matrix's order.

    Raises:
        ValueError: the matrix is not (C, C) for these C emotions.
    """
    if confusion.shape != (len(emotions), len(emotions)):
        raise ValueError(f"a confusion matrix of shape {confusion.shape} for {len(emotions)} emotions")
    n = confusion.sum()
    correct, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    others = n - support  # images of all other classes: TN + FP
    occurs = support > 0
    precision, recall = _ratio(correct, predicted), _ratio(correct, support)
    specificity = _ratio(others - (predicted - correct), others)
    f1 = _ratio(2 * correct, support + predicted)
    return ClassificationMetrics(
        accuracy=float(correct.sum() / n) if n else 0.0,
        balanced_accuracy=float(recall[occurs].mean()) if n else 0.0,
        macro_f1=macro_f1(confusion),
        averaged_over=int(occurs.sum()),
        per_class={
            emotion: ClassMetrics(
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
