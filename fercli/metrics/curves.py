"""Curves over the threshold, one class against the rest: ROC and precision-recall, and the areas under them."""

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
        fpr: False positive rates, rising (P,).
        tpr: True positive rates at the same thresholds (P,).
        auc: The area under the ROC curve.
        recall: Recalls, falling (Q,).
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
    """Return the macro average of the one-against-the-rest areas under the ROC curve.

    Args:
        labels: Integers (N,).
        probabilities: (N, C); any scores that order the images do, they need not sum to one.

    Returns:
        The mean over the classes that occur in the labels; None where fewer than two occur, for then no class has
        both images of its own and others to be told from.

    Raises:
        ValueError: the shapes do not fit, a label is outside 0 to C - 1, or a probability is not finite.
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
        The curves by emotion, in order; only of classes that occur, and of none where fewer than two occur.

    Raises:
        ValueError: as for `roc_auc`, or C is not the number of emotions.
    """
    true, scores = _checked(labels, probabilities)
    if scores.shape[1] != len(emotions):
        raise ValueError(f"{scores.shape[1]} probabilities an image for {len(emotions)} emotions")
    occurring = np.unique(true)
    if len(occurring) < 2:
        return {}
    return {emotions[c]: _curves(true == c, scores[:, c]) for c in occurring}


def _curves(own: npt.NDArray[np.bool_], scores: Floats) -> ClassCurves:
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    fpr, tpr, _ = roc_curve(own, scores)
    # A threshold that changes nothing in the picture is dropped: large sets would draw hundreds of thousands of points.
    precision, recall, _ = precision_recall_curve(own, scores, drop_intermediate=True)
    return ClassCurves(
        fpr=fpr,
        tpr=tpr,
        auc=float(auc(fpr, tpr)),
        recall=recall,
        precision=precision,
        average_precision=float(average_precision_score(own, scores)),
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
