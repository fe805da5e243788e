"""ROC and precision-recall curves of one class against the rest, and the areas under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.metrics.confusion import Indices

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassCurves:
    """The curves of one class against the rest; all arrays hold values in 0..1.

    Attributes:
        fpr: False positive rates, increasing (P,).
        tpr: True positive rates at the same thresholds (P,).
        auc: The area under the ROC curve.
        recall: Recalls, decreasing (Q,).
        precision: Precisions at the same thresholds (Q,).
        average_precision: The area under the precision-recall curve, by steps (no optimistic interpolation).
    """

    fpr: Floats
    tpr: Floats
    auc: float
    recall: Floats
    precision: Floats
    average_precision: float


def roc_auc(labels: Indices, probabilities: npt.NDArray[np.floating[Any]]) -> float | None:
    """Return the macro average of the one-vs-rest areas under the ROC curve.

    Args:
        labels: Integers (N,).
        probabilities: (N, C); any scores that rank the images will do, they need not sum to one.

    Returns:
        The mean over the classes that occur in the labels; None if fewer than two occur, since then no class has both
        positive and negative images.

    Raises:
        ValueError: the shapes do not match, a label is outside 0 to C - 1, or a probability is not finite.
    """
    from sklearn.metrics import roc_auc_score

    true, scores = _checked(labels, probabilities)
    occurring = np.unique(true)
    if len(occurring) < 2:
        return None
    return float(np.mean([roc_auc_score(true == c, scores[:, c]) for c in occurring]))


def roc_curves(
    labels: Indices, probabilities: npt.NDArray[np.floating[Any]], emotions: Sequence[str]
) -> dict[str, ClassCurves]:
    """Return the ROC and precision-recall curves of each class against the rest.

    Args:
        labels: Integers (N,).
        probabilities: (N, C).
        emotions: The C names, in order.

    Returns:
        The curves by emotion, in order, for classes that occur; empty if fewer than two occur.

    Raises:
        ValueError: as for `roc_auc`, or C is not the number of emotions.
    """
    true, scores = _checked(labels, probabilities)
    if scores.shape[1] != len(emotions):
        raise ValueError(f"{scores.shape[1]} probabilities per image for {len(emotions)} emotions")
    occurring = np.unique(true)
    if len(occurring) < 2:
        return {}
    return {emotions[c]: _curves(true == c, scores[:, c]) for c in occurring}


def _curves(positive: npt.NDArray[np.bool_], scores: Floats) -> ClassCurves:
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    fpr, tpr, _ = roc_curve(positive, scores)
    # Drop thresholds that do not change the plot: large datasets would have hundreds of thousands of points.
    precision, recall, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
    return ClassCurves(
        fpr=fpr,
        tpr=tpr,
        auc=float(auc(fpr, tpr)),
        recall=recall,
        precision=precision,
        average_precision=float(average_precision_score(positive, scores)),
    )


def _checked(labels: Indices, probabilities: npt.NDArray[np.floating[Any]]) -> tuple[Indices, Floats]:
    true = labels.astype(np.int64, casting="same_kind")
    scores = probabilities.astype(np.float64)
    if true.ndim != 1 or scores.ndim != 2 or len(true) != len(scores):
        raise ValueError(f"labels of shape {true.shape} and probabilities of shape {scores.shape}")
    if true.size and not (true.min() >= 0 and true.max() < scores.shape[1]):
        raise ValueError(f"a label is outside 0 to {scores.shape[1] - 1}")
    if not np.isfinite(scores).all():
        raise ValueError("a probability is not a finite number")
    return true, scores
