"""Wilson's interval against scipy's, and its properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fercli.metrics.intervals import wilson_interval


@st.composite
def shares(draw):
    n = draw(st.integers(1, 100_000))
    return draw(st.integers(0, n)), n


@given(shares(), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999]))
def test_the_interval_is_scipys(share, confidence):
    oracle = binomtest(*share).proportion_ci(confidence, method="wilson")
    assert wilson_interval(*share, confidence) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


@given(shares())
def test_the_share_lies_within(share):
    correct, n = share
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= correct / n <= high <= 1


@given(shares())
def test_right_and_wrong_mirror_each_other(share):
    correct, n = share
    low, high = wilson_interval(correct, n)
    assert wilson_interval(n - correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_the_ends_are_exact():
    assert wilson_interval(0, 7)[0] == 0.0
    assert wilson_interval(7, 7)[1] == 1.0
    assert wilson_interval(0, 7)[1] < 1.0


def test_no_images_tell_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0)])
def test_what_it_refuses(correct, n, confidence):
    with pytest.raises(ValueError, match=r"correct of|confidence"):
        wilson_interval(correct, n, confidence)
