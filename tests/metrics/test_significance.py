"""McNemar's exact test against scipy's binomial test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fercli.metrics.significance import mcnemar


def outcome(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which images two models got right, in a mixed order."""
    counts = [both, first, second, neither]
    order = np.random.default_rng(sum(counts)).permutation(sum(counts))
    return np.repeat([True, True, False, False], counts)[order], np.repeat([True, False, True, False], counts)[order]


@given(st.tuples(*[st.integers(0, 60)] * 4))
def test_is_scipys_binomial_test_of_the_images_that_one_alone_got_right(counts: tuple[int, int, int, int]) -> None:
    found = mcnemar(*outcome(*counts))
    assert (found.both, found.only_first, found.only_second, found.neither) == counts
    _, first, second, _ = counts
    wanted = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p_value == pytest.approx(wanted, rel=1e-9)
    assert mcnemar(*outcome(*counts)[::-1]).p_value == found.p_value


@pytest.mark.parametrize(("first", "second"), [(1100, 1300), (2000, 2000), (30, 4000), (0, 1074)])
def test_many_images_do_not_overflow(first: int, second: int) -> None:
    found = mcnemar(*outcome(5, first, second, 5)).p_value
    assert found == pytest.approx(binomtest(first, first + second).pvalue, rel=1e-6)
    assert 0 <= found <= 1


def test_models_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="3 images of the first model, but 2 of the second"):
        mcnemar(np.ones(3, bool), np.ones(2, bool))
