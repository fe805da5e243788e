"""What an evaluation comes to: the object that `--json` prints. No torch here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.metrics.confusion import classification_metrics, confusion_matrix
from fercli.metrics.curves import roc_auc
from fercli.metrics.intervals import wilson_interval
from fercli.report.pages import EvaluationSummary


def summarise(
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.floating[Any]],
    emotions: list[str],
    *,
    split: str,
    tta: str,
    selection: str,
    fresh: npt.NDArray[np.bool_] | None = None,
) -> EvaluationSummary:
    """Return the figures of predictions.

    Args:
        labels: (N,), indices into the emotions.
        probabilities: (N, C).
        emotions: The C names, in order.
        split: What was measured on.
        tta: The test-time augmentation.
        selection: What was selected, how and on what, for people.
        fresh: Which faces were not trained on, (N,), where the figures without the others are wanted too.
    """
    right = probabilities.argmax(1) == labels
    matrix = confusion_matrix(labels, probabilities.argmax(1), len(emotions))
    found = classification_metrics(matrix, emotions).as_dict()
    return {
        "split": split,
        "n": len(labels),
        "tta": tta,
        "selection": selection,
        "emotions": emotions,
        "accuracy": found["accuracy"],
        "accuracy_interval": interval_of(right),
        "balanced_accuracy": found["balanced_accuracy"],
        "macro_f1": found["macro_f1"],
        "averaged_over": found["averaged_over"],
        "roc_auc": roc_auc(labels, probabilities),
        "per_class": found["per_class"],
        "confusion": matrix.tolist(),
        "without_leaks": None
        if fresh is None
        else {
            "n": int(fresh.sum()),
            "accuracy": float(right[fresh].mean()) if fresh.any() else None,
            "accuracy_interval": interval_of(right[fresh]),
        },
    }


def interval_of(right: npt.NDArray[np.bool_]) -> list[float]:
    """Return the 95 % interval of the share of images that were right, [low, high]."""
    return list(wilson_interval(int(right.sum()), len(right)))
