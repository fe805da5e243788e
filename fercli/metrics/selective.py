"""Selective prediction: the error rate if a model may abstain on the faces of which it is least confident.

El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification" (JMLR 11): coverage and selective
risk. Geifman and El-Yaniv 2017, "Selective classification for deep neural networks": the highest softmax probability as
the confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RiskCoverage:
    """The selective risk when the K most confident of N faces are accepted, for K = 1 to N.

    Attributes:
        coverage: K / N, (N,).
        risk: The error rate of the accepted faces, (N,). Faces of equal confidence are accepted in random order: the
            risk within such a group is its expected value, and the order of the faces does not matter.
        thresholds: Whether a threshold of the confidence accepts exactly K faces, (N,): not within a group of equals.
    """

    coverage: Floats
    risk: Floats
    thresholds: npt.NDArray[np.bool_]

    @property
    def area(self) -> float:
        """The area under the risk-coverage curve (AURC): the mean risk over K. 0 is best."""
        return float(self.risk.mean())

    @property
    def excess_area(self) -> float:
        """The area in excess of that of a confidence that ranks all errors last (E-AURC).

        Source: Geifman, Uziel and El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep neural classifiers".
        """
        n = len(self.risk)
        errors = round(float(self.risk[-1]) * n)
        accepted = np.arange(1, n + 1)
        best = np.maximum(0, accepted - (n - errors)) / accepted
        return max(0.0, self.area - float(best.mean()))

    def coverage_at(self, accuracy: float) -> float:
        """Return the largest coverage of a threshold at which the accepted faces reach an accuracy; 0 if none does."""
        reached = self.thresholds & (1 - self.risk >= accuracy - 1e-12)
        return float(self.coverage[reached].max()) if reached.any() else 0.0

    def risk_at(self, coverage: float) -> float:
        """Return the risk at the smallest coverage that is at least `coverage`, in 0..1."""
        n = len(self.risk)
        return float(self.risk[min(n, max(1, int(np.ceil(coverage * n - 1e-9)))) - 1])


def risk_coverage(confidence: npt.NDArray[np.floating[Any]], right: npt.NDArray[np.bool_]) -> RiskCoverage:
    """Return the risk at each coverage.

    Args:
        confidence: (N,), N > 0; higher is accepted first.
        right: Whether each prediction is correct, (N,).

    Raises:
        ValueError: the lengths differ, or there are no predictions.
    """
    if confidence.shape != right.shape or confidence.ndim != 1 or not len(right):
        raise ValueError(f"confidences of shape {confidence.shape} for predictions of shape {right.shape}")
    order = np.argsort(-confidence.astype(np.float64), kind="stable")
    ordered, wrong = confidence[order], ~right[order]
    n = len(order)
    accepted = np.arange(1, n + 1)
    last = np.append(ordered[1:] != ordered[:-1], True)
    ends = accepted[last]
    # Errors at the end of each group of equal confidences; within a group they grow linearly, in expectation.
    errors = np.interp(accepted, np.append(0, ends), np.append(0, wrong.cumsum()[last]))
    return RiskCoverage(accepted / n, errors / accepted, last)
