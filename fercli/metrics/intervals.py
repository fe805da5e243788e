"""Confidence intervals for the number of images that a metric was measured on."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np

from fercli.metrics.confusion import Counts


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, such as accuracy, without continuity correction.

    Unlike the normal approximation it stays within 0..1, and is valid for few images and proportions near 0 and 1.
    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).

    Args:
        correct: Number of images predicted correctly.
        n: Number of images; for none the interval is (0.0, 1.0).
        confidence: Between 0 and 1, both excluded.

    Raises:
        ValueError: not 0 <= correct <= n, or a confidence outside its range.

    >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} correct of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the bound is exactly 0 or 1; avoid a rounding error of 1e-17.
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == n else min(1.0, centre + half)
    return low, high


def macro_f1_interval(
    confusion: Counts, confidence: float = 0.95, *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the macro F1 (Efron and Tibshirani 1993, chapter 13).

    Drawing N images with replacement is drawing N cells of the confusion matrix by their shares, so each sample costs
    one multinomial draw. Classes that a sample lacks are excluded from its mean, as in `macro_f1`.

    Args:
        confusion: (C, C), rows true, columns predicted; empty: the interval is (0.0, 1.0).
        confidence: Between 0 and 1, both excluded.
        draws: Number of samples.
        seed: Seed of the samples.
    """
    classes, n = len(confusion), int(confusion.sum())
    if n == 0:
        return 0.0, 1.0
    shares = confusion.ravel() / n
    drawn = np.random.default_rng(seed).multinomial(n, shares, draws).reshape(draws, classes, classes)
    support, predicted = drawn.sum(2), drawn.sum(1)
    correct = np.diagonal(drawn, axis1=1, axis2=2)
    f1 = 2 * correct / np.maximum(support + predicted, 1)
    means = (f1 * (support > 0)).sum(1) / (support > 0).sum(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
