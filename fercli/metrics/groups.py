"""Whether the accuracy of a model differs between groups of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

DRAWS = 10_000
"""Permutations of a test: its p-value is known to about 0.005 at 0.05."""


@dataclass(frozen=True)
class GapTest:
    """The largest difference in accuracy between two groups, and its permutation test.

    Attributes:
        high: Index of the group with the highest accuracy.
        low: Index of the group with the lowest accuracy.
        gap: Their difference, in 0..1.
        p_value: Share of the permutations with at least this largest difference, counting the observed one.
    """

    high: int
    low: int
    gap: float
    p_value: float


def gap_test(right: Counts, n: Counts, *, draws: int = DRAWS, seed: int = 0) -> GapTest:
    """Test the largest difference in accuracy between any two of several groups.

    The null hypothesis is that the groups are exchangeable: which group an image belongs to has nothing to do with
    whether it is classified correctly. The statistic is the largest difference over all pairs, so that looking at all
    of them needs no further correction. A permutation of the images' group labels changes only how many correct images
    each group gets, so the counts are drawn from their distribution, the multivariate hypergeometric one. The p-value
    counts the observed statistic as one of the permutations (Phipson and Smyth 2010, "Permutation p-values should
    never be zero").

    Args:
        right: Number of correctly classified images of each group, (G,), G > 1.
        n: Number of images of each group, (G,), all positive.
        draws: Number of permutations.
        seed: Seed of the permutations.

    Raises:
        ValueError: there are fewer than two groups, or the counts are impossible.
    """
    right, n = np.asarray(right, np.int64), np.asarray(n, np.int64)
    if right.shape != n.shape or len(n) < 2 or (n < 1).any() or (right < 0).any() or (right > n).any():
        raise ValueError(f"{right.tolist()} correct images of {n.tolist()}: expected two or more groups")
    accuracy = right / n
    high, low = int(accuracy.argmax()), int(accuracy.argmin())
    gap = float(accuracy[high] - accuracy[low])
    generator = np.random.default_rng(seed)
    drawn = generator.multivariate_hypergeometric(n, int(right.sum()), draws, method="marginals") / n
    # Equal differences must count as such, whatever the rounding of the divisions.
    reached = int((drawn.max(1) - drawn.min(1) >= gap - 1e-12).sum())
    return GapTest(high, low, gap, (reached + 1) / (draws + 1))
