"""Mixture weights against scipy's optimiser and the optimality condition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from fercli.evaluation.mixture import FLOOR, fit_weights, log_loss


def label_probabilities(seed: int, images: int, members: int, spread: float, bias: float = 0.0) -> np.ndarray:
    """Return the members' label probabilities; images vary in difficulty, and members differ by `spread`."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(images, 1)) + spread * generator.normal(size=(images, members))
    return 1 / (1 + np.exp(-(logits + bias * generator.normal(size=members))))


def fit_with_scipy(p: np.ndarray) -> np.ndarray:
    members = p.shape[1]
    return minimize(
        lambda w: log_loss(p, w),
        np.full(members, 1 / members),
        jac=lambda w: -(p / (p @ w)[:, None]).mean(0),
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-15},
    ).x


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("bias", [0, 1])
def test_weights_match_scipy(seed: int, bias: float) -> None:
    p = label_probabilities(seed, 300, 2 + seed % 5, spread=1.5, bias=bias)
    weights = fit_weights(p)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, fit_with_scipy(p), atol=2e-4)
    assert log_loss(p, weights) <= log_loss(p, fit_with_scipy(p)) + 1e-9


@example(100077, 2, 5, 1e-3)  # fewer images than members, and members that hardly differ
@given(st.integers(0, 10**6), st.integers(1, 80), st.integers(1, 7), st.sampled_from([0, 1e-3, 0.1, 1, 4]))
@settings(max_examples=40, deadline=None)
def test_weights_satisfy_the_optimality_condition(seed: int, images: int, members: int, spread: float) -> None:
    p = np.maximum(label_probabilities(seed, images, members, spread, bias=seed % 3), FLOOR)
    weights = fit_weights(p)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    gradient = (p / (p @ weights)[:, None]).mean(0)
    assert gradient.max() <= 1 + 1e-9  # Lindsay's bound: no mixture is better by more than its logarithm
    assert gradient[weights > 0.01] == pytest.approx(1, abs=1e-6)
    assert np.array_equal(fit_weights(p), weights)


def test_weights_by_hand() -> None:
    # Two images, each known to one member only: equal weights by symmetry. Three to one: 3/4.
    assert fit_weights(np.array([[1.0, 0], [0, 1]])) == pytest.approx([0.5, 0.5])
    assert fit_weights(np.array([[1.0, 0], [1, 0], [0, 1], [1, 0]])) == pytest.approx([0.75, 0.25])
    # Worse everywhere: weight zero.
    assert fit_weights(np.array([[0.9, 0.5], [0.4, 0.3]])).tolist() == [1, 0]
    assert fit_weights(np.array([[0.3], [0.4]])).tolist() == [1]


def test_labels_of_zero_probability_do_not_matter() -> None:
    p = label_probabilities(1, 50, 3, 1.5)
    with_impossible = np.concatenate([p, np.zeros((20, 3))])
    np.testing.assert_allclose(fit_weights(with_impossible), fit_weights(p), atol=1e-4)
    assert fit_weights(np.zeros((4, 3))) == pytest.approx([1 / 3] * 3)


def test_equal_members() -> None:
    p = label_probabilities(2, 100, 2, 1.5)
    one, other = fit_weights(p), fit_weights(np.concatenate([p, p[:, :1]], 1))
    assert other[0] + other[2] == pytest.approx(one[0], abs=1e-4)
