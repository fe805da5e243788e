"""McNemar's test and Holm's correction against scipy, statsmodels and published values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from fercli.metrics.significance import holm, mcnemar, smallest_difference


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


@given(st.integers(0, 400), st.integers(0, 400))
def test_mid_p_counts_the_observed_split_half(first: int, second: int) -> None:
    n = first + second
    # Fagerland et al. 2013: twice the one-sided probability, in which the observed split counts half.
    expected = 2 * binom.cdf(min(first, second) - 1, n, 0.5) + binom.pmf(min(first, second), n, 0.5)
    assert mcnemar(*outcome(3, first, second, 4)).mid_p == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_matches_statsmodels() -> None:
    table = [[101, 59], [121, 33]]
    exact = statsmodels_mcnemar(table, exact=True).pvalue
    found = mcnemar(*outcome(table[0][0], table[0][1], table[1][0], table[1][1]))
    assert found.p_value == pytest.approx(exact, rel=1e-12)
    # Fagerland et al. 2013, airway hyper-responsiveness: 1 and 7 discordant pairs.
    published = mcnemar(*outcome(1, 1, 7, 12))
    assert round(published.p_value, 3) == 0.070
    assert round(published.mid_p, 3) == 0.039


@pytest.mark.parametrize(("n", "discordant"), [(400, 0.2), (3589, 0.15), (1000, 0.5)])
def test_the_smallest_difference_is_found_in_four_of_five_samples(n: int, discordant: float) -> None:
    size = smallest_difference(n, discordant)
    assert size is not None
    shares = [(discordant + size) / 2, (discordant - size) / 2, 1 - discordant]
    drawn = np.random.default_rng(1).multinomial(n, shares, 2000)
    p_values = [mcnemar(*outcome(n - a - b, a, b, 0)).mid_p for a, b, _ in drawn[:400].tolist()]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.8, abs=0.05)


def test_no_difference_is_found_among_few_discordant_images() -> None:
    assert smallest_difference(40, 0.1) is None
    assert smallest_difference(1000, 0.0) is None
    assert smallest_difference(2, 1.0) is None


@pytest.mark.parametrize("p_values", [[0.03], [0.04, 0.01, 0.03, 0.005], [0.5, 0.6, 0.001], [0.02, 0.02, 1.0, 0.0]])
def test_holm_matches_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_undefined_tests_are_not_corrected_for() -> None:
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
