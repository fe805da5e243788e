"""Tests over seeds and folds against scipy, mlxtend and the formulas of the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mlxtend.evaluate import combined_ftest_5x2cv, paired_ttest_5x2cv
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from fercli.metrics.paired_tests import (
    alpaydin_f,
    corrected_resampled_t,
    dietterich_t,
    single_against_group,
    smallest_t_difference,
    welch_t,
)

FIRST = np.array([0.61, 0.64, 0.60, 0.66])
SECOND = np.array([0.58, 0.61, 0.59])


def test_welch_matches_scipy() -> None:
    found, expected = welch_t(FIRST, SECOND), stats.ttest_ind(FIRST, SECOND, equal_var=False)
    interval = expected.confidence_interval()
    assert (found.value, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.freedom == pytest.approx((expected.df,))
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_one_run_against_a_group_is_students_t_with_one_value() -> None:
    found = single_against_group(0.7, FIRST)
    n, s = len(FIRST), float(np.std(FIRST, ddof=1))
    t = (0.7 - FIRST.mean()) / (s * math.sqrt((n + 1) / n))  # Crawford and Howell 1998, equation 1
    assert found.value == pytest.approx(t)
    assert found.freedom == (n - 1,)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(t), n - 1))


def test_corrected_resampled_t_is_the_paired_t_with_another_variance() -> None:
    differences = np.array([0.01, 0.03, -0.01, 0.02, 0.02, 0.04, 0.0, 0.01, 0.02, 0.03])
    naive = stats.ttest_1samp(differences, 0)
    found = corrected_resampled_t(differences, 1 / 9)
    # Variance of the mean: (1/J + 1/9) s^2 instead of s^2 / J.
    factor = math.sqrt((1 / 10) / (1 / 10 + 1 / 9))
    assert found.value == pytest.approx(naive.statistic * factor)
    assert found.freedom == (9,)
    assert found.p_value == pytest.approx(2 * stats.t.sf(naive.statistic * factor, 9))
    assert found.p_value is not None
    assert found.p_value > naive.pvalue
    assert found.interval is not None
    assert sum(found.interval) / 2 == pytest.approx(differences.mean())


@pytest.mark.slow
def test_five_by_two_tests_match_mlxtend() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(160, 4))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + generator.normal(size=160) > 0).astype(int)
    first, second = LogisticRegression(), DecisionTreeClassifier(max_depth=3, random_state=0)
    arguments = {"estimator1": first, "estimator2": second, "X": x, "y": y, "random_seed": 4}
    differences = np.zeros((5, 2))
    random = np.random.RandomState(4)  # mlxtend's own draws
    for repeat in range(5):
        parts = train_test_split(x, y, test_size=0.5, random_state=random.randint(low=0, high=32767))
        x1, x2, y1, y2 = parts
        for fold, (fit, on) in enumerate((((x1, y1), (x2, y2)), ((x2, y2), (x1, y1)))):
            differences[repeat, fold] = first.fit(*fit).score(*on) - second.fit(*fit).score(*on)
    t, p_t = paired_ttest_5x2cv(**arguments)
    f, p_f = combined_ftest_5x2cv(**arguments)
    found_t, found_f = dietterich_t(differences), alpaydin_f(differences)
    assert (found_t.value, found_t.p_value) == pytest.approx((t, p_t))
    assert (found_f.value, found_f.p_value) == pytest.approx((f, p_f))


def test_five_by_two_by_hand() -> None:
    differences = np.array([[0.02, 0.04], [0.0, 0.02], [0.01, 0.05], [0.03, 0.03], [0.02, 0.0]])
    # s^2 of a repeat is half the squared difference of its two folds.
    variances = (differences[:, 0] - differences[:, 1]) ** 2 / 2
    found = dietterich_t(differences)
    assert found.value == pytest.approx(0.02 / math.sqrt(variances.mean()))
    assert found.p_value == pytest.approx(2 * stats.t.sf(found.value, 5))
    half = stats.t.ppf(0.975, 5) * math.sqrt(variances.mean())
    assert found.interval == pytest.approx((differences.mean() - half, differences.mean() + half))
    f = (differences**2).sum() / (2 * variances.sum())
    combined = alpaydin_f(differences)
    assert combined.value == pytest.approx(f)
    assert combined.p_value == pytest.approx(stats.f.sf(f, 10, 5))
    assert combined.freedom == (10, 5)


def test_values_that_do_not_vary_leave_the_tests_undefined() -> None:
    same = np.full(4, 0.6)
    undefined = [
        welch_t(same, same - 0.1),
        single_against_group(0.5, same),
        corrected_resampled_t(same, 0.5),
        dietterich_t(np.full((5, 2), 0.1)),
        alpaydin_f(np.zeros((5, 2))),
    ]
    assert [(one.value, one.p_value, one.interval) for one in undefined] == [(None, None, None)] * 5
    assert smallest_t_difference(undefined[0]) is None


def test_the_smallest_difference_is_found_in_four_of_five_samples() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 1000, 8))
    size = np.median([smallest_t_difference(welch_t(a, b)) for a, b in zip(first, second, strict=True)])
    p_values = stats.ttest_ind(first + size, second, axis=1, equal_var=False).pvalue
    assert (p_values < 0.05).mean() == pytest.approx(0.8, abs=0.05)


def test_wrong_shapes_are_rejected() -> None:
    with pytest.raises(ValueError, match="Welch's t requires two or more"):
        welch_t(FIRST, SECOND[:1])
    with pytest.raises(ValueError, match="a group of one run"):
        single_against_group(0.5, FIRST[:1])
    with pytest.raises(ValueError, match=r"1 differences and a test share of 0.5"):
        corrected_resampled_t(FIRST[:1], 0.5)
    with pytest.raises(ValueError, match=r"5x2 cross-validation has \(5, 2\)"):
        dietterich_t(np.zeros((2, 5)))
