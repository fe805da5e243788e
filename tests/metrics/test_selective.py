"""Selective prediction, against a hand-made loop, scikit-learn's trapezoidal area, and all orders of equal faces."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc

from fercli.metrics.selective import risk_coverage


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 60))
    levels = draw(st.integers(1, 60))  # few levels: many equal confidences
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    return generator.integers(0, levels, n) / levels, generator.random(n) < draw(st.floats(0, 1))


@given(predictions())
def test_thresholds_equal_a_loop(found: tuple[np.ndarray, np.ndarray]) -> None:
    confidence, right = found
    curve = risk_coverage(confidence, right)
    best = 0.0
    for threshold in set(confidence.tolist()):
        accepted = confidence >= threshold
        k = int(accepted.sum())
        assert curve.thresholds[k - 1]
        assert curve.coverage[k - 1] == pytest.approx(accepted.mean())
        assert curve.risk[k - 1] == pytest.approx((~right[accepted]).mean())
        if right[accepted].mean() >= 0.9:
            best = max(best, accepted.mean())
    assert curve.thresholds.sum() == len(set(confidence.tolist()))
    assert curve.coverage_at(0.9) == pytest.approx(best)


@given(predictions())
def test_area_equals_scikit_learns(found: tuple[np.ndarray, np.ndarray]) -> None:
    curve = risk_coverage(*found)
    n = len(curve.risk)
    # The trapezoids between the points, and half a step at either end.
    trapezoids = auc(curve.coverage, curve.risk) if n > 1 else 0.0
    assert curve.area == pytest.approx(trapezoids + (curve.risk[0] + curve.risk[-1]) / (2 * n))


@given(predictions(), st.integers(0, 2**31))
def test_order_of_faces_does_not_matter(found: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(found[0]))
    first, second = risk_coverage(*found), risk_coverage(found[0][order], found[1][order])
    np.testing.assert_allclose(first.risk, second.risk)


def test_equal_confidences_are_the_mean_over_all_orders() -> None:
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.2])
    right = np.array([True, False, True, True, False])
    risks = []
    for middle in permutations([1, 2, 3]):
        wrong = ~right[[0, *middle, 4]]
        risks.append(wrong.cumsum() / np.arange(1, 6))
    np.testing.assert_allclose(risk_coverage(confidence, right).risk, np.mean(risks, 0))


def test_perfect_and_worst_ranking() -> None:
    right = np.arange(10) < 7
    best, worst = risk_coverage(-np.arange(10.0), right), risk_coverage(np.arange(10.0), right)
    assert best.excess_area == pytest.approx(0)
    assert best.coverage_at(0.95) == best.coverage_at(1.0) == 0.7
    assert worst.excess_area > 0.3
    assert worst.coverage_at(0.9) == 0
    assert best.risk_at(0.7) == 0
    assert best.risk_at(1.0) == best.risk_at(0.91) == pytest.approx(0.3)
    assert best.risk_at(0.0) == best.risk[0]


def test_invalid_arguments() -> None:
    with pytest.raises(ValueError, match="confidences of shape"):
        risk_coverage(np.zeros(3), np.zeros(2, bool))
    with pytest.raises(ValueError, match="confidences of shape"):
        risk_coverage(np.zeros(0), np.zeros(0, bool))
