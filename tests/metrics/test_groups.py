"""The gap test, against scipy's permutation test and a loop that permutes the images' labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from fercli.metrics.groups import gap_test


def test_two_groups_equal_scipys_exact_permutation_test() -> None:
    first, second = [1, 1, 1, 1, 1, 0], [0, 0, 1, 0, 0]
    exact = permutation_test(
        (first, second), lambda a, b, axis: abs(a.mean(axis) - b.mean(axis)), vectorized=True, alternative="greater"
    )
    found = gap_test(np.array([5, 1]), np.array([6, 5]), draws=200_000)
    assert (found.high, found.low) == (0, 1)
    assert found.gap == pytest.approx(exact.statistic)
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.004)


def test_three_groups_equal_a_loop() -> None:
    sizes, correct = np.array([30, 12, 20]), np.array([24, 5, 13])
    groups = np.repeat(np.arange(3), sizes)
    right = np.concatenate([np.arange(n) < k for n, k in zip(sizes, correct, strict=True)])

    def gap(labels: np.ndarray) -> float:
        shares = [right[labels == k].mean() for k in range(3)]
        return float(max(shares) - min(shares))

    generator = np.random.default_rng(1)
    reached = np.mean([gap(generator.permutation(groups)) >= gap(groups) - 1e-12 for _ in range(4000)])
    found = gap_test(correct, sizes, draws=100_000)
    assert found.gap == pytest.approx(gap(groups))
    assert (found.high, found.low) == (0, 1)
    assert 0.02 < found.p_value < 0.2
    assert found.p_value == pytest.approx(reached, abs=0.02)


def test_p_values_under_the_null_hypothesis_are_not_too_small() -> None:
    generator = np.random.default_rng(5)
    sizes = np.array([40, 25, 60])
    values = [gap_test(generator.binomial(sizes, 0.7), sizes, draws=500, seed=k).p_value for k in range(600)]
    assert np.mean(np.array(values) <= 0.1) < 0.14
    assert np.mean(np.array(values) <= 0.5) > 0.4


def test_equal_groups_and_seeds() -> None:
    assert gap_test(np.array([3, 3]), np.array([4, 4])).p_value == 1
    arguments = (np.array([30, 20]), np.array([40, 40]))
    assert gap_test(*arguments, seed=3) == gap_test(*arguments, seed=3)
    assert 0 < gap_test(np.array([500, 0]), np.array([500, 500])).p_value <= 1e-3


@pytest.mark.parametrize(("right", "n"), [([3], [4]), ([5, 1], [4, 4]), ([1, 0], [4, 0]), ([1, 2, 3], [4, 4])])
def test_invalid_arguments(right: list[int], n: list[int]) -> None:
    with pytest.raises(ValueError, match="correct images of"):
        gap_test(np.array(right), np.array(n))
