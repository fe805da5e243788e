"""McNemar's exact test against scipy's binomial test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fercli.metrics.significance import mcnemar


def outcome(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which images two models predict correctly, in random order."""
    counts = [both, first, second, neither]
    order = np.random.default_rng(sum(counts)).permutation(sum(counts))
    return np.repeat([True, True, False, False], counts)[order], np.repeat([True, False, True, False], counts)[order]


@given(st.tuples(*[st.integers(0, 60)] * 4))
def test_matches_scipys_binomial_test(counts: tuple[int, int, int, int]) -> None:
    result = mcnemar(*outcome(*counts))
    assert (result.both, result.only_first, result.only_second, result.neither) == counts
    _, first, second, _ = counts
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert result.p_value == pytest.approx(expected, rel=1e-9)
    assert mcnemar(*outcome(*counts)[::-1]).p_value == result.p_value


@pytest.mark.parametrize(("first", "second"), [(1100, 1300), (2000, 2000), (30, 4000), (0, 1074)])
def test_many_images_do_not_overflow(first: int, second: int) -> None:
    result = mcnemar(*outcome(5, first, second, 5)).p_value
    assert result == pytest.approx(binomtest(first, first + second).pvalue, rel=1e-6)
    assert 0 <= result <= 1


def test_different_lengths_are_rejected() -> None:
    with pytest.raises(ValueError, match="3 images of the first model, but 2 of the second"):
        mcnemar(np.ones(3, bool), np.ones(2, bool))
