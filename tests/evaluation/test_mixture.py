"""The mixture's weights against scipy's optimiser, and against the condition that only the optimum meets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from fercli.evaluation.mixture import FLOOR, fit_weights, log_loss


def draw(seed: int, images: int, members: int, spread: float, bias: float = 0.0) -> np.ndarray:
    """Return what members gave the labels: some images hard, some easy, members alike to the degree of `spread`."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(images, 1)) + spread * generator.normal(size=(images, members))
    return 1 / (1 + np.exp(-(logits + bias * generator.normal(size=members))))


def scipys(p: np.ndarray) -> np.ndarray:
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
def test_weights_are_scipys(seed: int, bias: float) -> None:
    p = draw(seed, 300, 2 + seed % 5, spread=1.5, bias=bias)
    found = fit_weights(p)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, scipys(p), atol=2e-4)
    assert log_loss(p, found) <= log_loss(p, scipys(p)) + 1e-9


@given(st.integers(0, 10**6), st.integers(1, 80), st.integers(1, 7), st.sampled_from([0, 1e-3, 0.1, 1, 4]))
@settings(max_examples=40, deadline=None)
def test_no_member_would_lower_the_loss(seed: int, images: int, members: int, spread: float) -> None:
    p = np.maximum(draw(seed, images, members, spread, bias=seed % 3), FLOOR)
    found = fit_weights(p)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    pull = (p / (p @ found)[:, None]).mean(0)
    assert pull.max() <= 1 + 1e-9  # Lindsay's bound: no mixture is better by more than its logarithm
    assert pull[found > 0.01] == pytest.approx(1, abs=1e-6)
    assert np.array_equal(fit_weights(p), found)


def test_by_hand() -> None:
    # Two images, each known to one member alone: by symmetry half and half. With three to one it is 3/4.
    assert fit_weights(np.array([[1.0, 0], [0, 1]])) == pytest.approx([0.5, 0.5])
    assert fit_weights(np.array([[1.0, 0], [1, 0], [0, 1], [1, 0]])) == pytest.approx([0.75, 0.25])
    # Worse everywhere: exactly nothing.
    assert fit_weights(np.array([[0.9, 0.5], [0.4, 0.3]])).tolist() == [1, 0]
    assert fit_weights(np.array([[0.3], [0.4]])).tolist() == [1]


def test_labels_that_nobody_thought_possible_decide_nothing() -> None:
    p = draw(1, 50, 3, 1.5)
    with_impossible = np.concatenate([p, np.zeros((20, 3))])
    np.testing.assert_allclose(fit_weights(with_impossible), fit_weights(p), atol=1e-4)
    assert fit_weights(np.zeros((4, 3))) == pytest.approx([1 / 3] * 3)


def test_members_that_predict_the_same_are_no_trouble() -> None:
    p = draw(2, 100, 2, 1.5)
    one, other = fit_weights(p), fit_weights(np.concatenate([p, p[:, :1]], 1))
    assert other[0] + other[2] == pytest.approx(one[0], abs=1e-4)
