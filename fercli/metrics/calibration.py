"""Calibration: whether a probability of 0.8 is right in 80 % of cases, and the temperature that makes it so.

Guo et al. 2017, "On calibration of modern neural networks": the expected calibration error (section 2) and temperature
scaling (section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.int64]

BINS = 15
"""Bins of equal width, as usual for the expected calibration error."""
LIMITS = (0.05, 20.0)
"""The smallest and largest temperature."""
_TINY = 1e-12
_STEPS = 60


@dataclass(frozen=True)
class ReliabilityBins:
    """Predictions by confidence, the probability of the predicted class, in bins of equal width over 0..1.

    Attributes:
        counts: Number of predictions in each bin, (BINS,).
        confidence: Mean confidence in each bin; NaN if it is empty.
        accuracy: Share of correct predictions in each bin; NaN if it is empty.
    """

    counts: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of |accuracy - confidence| over the bins, weighted by count."""
        used = self.counts > 0
        gaps = np.abs(self.accuracy[used] - self.confidence[used])
        return float(np.average(gaps, weights=self.counts[used])) if used.any() else 0.0


def reliability_bins(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> ReliabilityBins:
    """Sort predictions into bins by confidence.

    Args:
        probabilities: (N, C), rows summing to 1.
        labels: (N,), the true classes.
        bins: Number of bins. A confidence on the border of two belongs to the lower one.
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    numbers = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(numbers, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(numbers, confidence, bins) / counts
        shares = np.bincount(numbers, right, bins) / counts
    return ReliabilityBins(counts, means, shares)


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """Return the temperature T, within LIMITS, at which softmax(log p / T) has the lowest negative log likelihood.

    One more image, labelled with all classes equally, is added: a model that is right on all of few images would
    otherwise have no temperature that is not too cold (Platt 1999 adds such counts for the same reason). The loss is
    convex in 1 / T, so its minimum is the zero of the derivative, found by bisection.

    Args:
        probabilities: (N, C), at temperature 1.
        labels: (N,), the true classes.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), _TINY))
    n = len(labels)
    given = (logits[np.arange(n), labels].sum() + logits.mean()) / n

    def slope(inverse: float) -> float:
        scaled = np.exp(inverse * (logits - logits.max(1, keepdims=True)))
        expected = (scaled * logits).sum(1) / scaled.sum(1)
        return float(expected.mean() * (n + 1) / n - given)

    low, high = (1 / limit for limit in reversed(LIMITS))
    if slope(low) >= 0 or slope(high) <= 0:
        return LIMITS[1] if slope(low) >= 0 else LIMITS[0]
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return float(1 / low)
