"""Wilson's interval against scipy's and its properties; the interval of macro F1 against a bootstrap of images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from fercli.metrics.confusion import macro_f1
from fercli.metrics.intervals import macro_f1_interval, wilson_interval


@st.composite
def proportions(draw):
    n = draw(st.integers(1, 100_000))
    return draw(st.integers(0, n)), n


@given(proportions(), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999]))
def test_interval_matches_scipy(proportion, confidence):
    oracle = binomtest(*proportion).proportion_ci(confidence, method="wilson")
    assert wilson_interval(*proportion, confidence) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


@given(proportions())
def test_interval_contains_the_proportion(proportion):
    correct, n = proportion
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= correct / n <= high <= 1


@given(proportions())
def test_interval_is_symmetric(proportion):
    correct, n = proportion
    low, high = wilson_interval(correct, n)
    assert wilson_interval(n - correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_bounds_at_0_and_1_are_exact():
    assert wilson_interval(0, 7)[0] == 0.0
    assert wilson_interval(7, 7)[1] == 1.0
    assert wilson_interval(0, 7)[1] < 1.0


def test_no_images_give_the_unit_interval():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0)])
def test_invalid_input(correct, n, confidence):
    with pytest.raises(ValueError, match=r"correct of|confidence"):
        wilson_interval(correct, n, confidence)


def test_macro_f1_interval_equals_a_bootstrap_of_images() -> None:
    confusion = np.array([[20, 5, 1], [6, 30, 4], [0, 0, 0]])
    labels = np.repeat(np.arange(3), confusion.sum(1))
    predicted = np.concatenate([np.repeat(np.arange(3), row) for row in confusion])
    generator = np.random.default_rng(3)
    values = []
    for _ in range(1500):
        chosen = generator.integers(0, len(labels), len(labels))
        occurring = np.unique(labels[chosen])
        values.append(f1_score(labels[chosen], predicted[chosen], labels=occurring, average="macro", zero_division=0))
    low, high = macro_f1_interval(confusion, draws=20_000)
    assert (low, high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.02)
    assert low < macro_f1(confusion) < high
    assert macro_f1_interval(confusion) == macro_f1_interval(confusion)


def test_macro_f1_interval_of_extremes() -> None:
    assert macro_f1_interval(np.zeros((2, 2), np.int64)) == (0.0, 1.0)
    assert macro_f1_interval(np.diag([5, 3])) == (1.0, 1.0)
