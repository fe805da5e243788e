"""Intervals of a cross-validation's mean, whose folds are not independent: their training sets overlap."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np


def corrected_interval(values: Sequence[float], test_to_train: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean over folds by the corrected resampled t-test: mean ± t · s · sqrt(1/k + n₂/n₁).

    The usual factor 1/k would hold for independent values. Models of different folds are trained on overlapping images,
    so that their metrics are correlated; n₂/n₁ estimates what that adds to the variance of the mean. With repeats, k is
    the number of all values (Bouckaert and Frank 2004). Sources: C. Nadeau, Y. Bengio, "Inference for the
    generalization error", Machine Learning 52 (2003), section 3; R. R. Bouckaert, E. Frank, "Evaluating the
    replicability of significance tests for comparing learning algorithms", PAKDD 2004, section 3.3.

    Args:
        values: The metric of each fold, (k,).
        test_to_train: n₂/n₁: images of a fold by images outside it, 1 / (folds - 1) for equal folds.
        confidence: Between 0 and 1, both excluded.

    Returns:
        Its bounds, which may lie outside 0..1.

    Raises:
        ValueError: there are fewer than two values, the ratio is negative, or a confidence outside its range.

    >>> [round(bound, 4) for bound in corrected_interval([0.6, 0.7, 0.65, 0.75, 0.7], 0.25)]
    [0.5738, 0.7862]
    """
    from scipy.stats import t  # slow to import

    if len(values) < 2:
        raise ValueError(f"{len(values)} values have no spread; at least two are needed")
    if test_to_train < 0:
        raise ValueError(f"a ratio of {test_to_train}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(t.ppf(0.5 + confidence / 2, len(values) - 1)) * deviation * sqrt(1 / len(values) + test_to_train)
    return mean - half, mean + half
