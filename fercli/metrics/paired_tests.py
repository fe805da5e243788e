"""Tests of two training procedures over seeds or folds: Welch's t, and the tests for cross-validation.

The accuracies of the folds of a cross-validation are not independent, since their training sets overlap; the ordinary
paired t-test therefore finds differences that are not there (Dietterich 1998) and is not offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Statistic:
    """The result of a test; everything is None that is undefined, since the values do not vary.

    Attributes:
        value: The statistic, t or F.
        freedom: Its degrees of freedom: one number for t, two for F.
        p_value: Two-sided.
        interval: The 95 % interval of the mean difference; None for F, too.
    """

    value: float | None
    freedom: tuple[float, ...]
    p_value: float | None
    interval: tuple[float, float] | None = None


def welch_t(first: Values, second: Values) -> Statistic:
    """Return Welch's t-test of two groups of independent runs.

    Source: B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947). Unlike Student's it does not assume that both vary equally.

    Args:
        first: A metric of each run of the first group, (S,), at least two.
        second: The same of the second group, (T,), at least two.

    Raises:
        ValueError: a group has fewer than two runs.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"groups of {len(first)} and {len(second)} runs; Welch's t requires two or more in each")
    parts = [float(np.var(group, ddof=1)) / len(group) for group in (first, second)]
    total, difference = sum(parts), float(np.mean(first) - np.mean(second))
    if _constant(total, difference):
        return Statistic(None, (), None)
    weights = sum(part**2 / (len(group) - 1) for part, group in zip(parts, (first, second), strict=True))
    return _t(difference, total**0.5, total**2 / weights)


def single_against_group(single: float, group: Values) -> Statistic:
    """Return the t-test of one run against a group of runs; the group's variance stands for that of both.

    It is Student's t-test with one value in one of the groups. Source: J. R. Crawford and D. C. Howell, "Comparing an
    individual's test score against norms derived from small samples", The Clinical Neuropsychologist 12 (1998).

    Args:
        single: A metric of the one run.
        group: The same of the group's runs, (S,), at least two.

    Raises:
        ValueError: the group has fewer than two runs.
    """
    if len(group) < 2:
        raise ValueError("a group of one run has no variance; two or more are required")
    difference = float(single - np.mean(group))
    total = float(np.var(group, ddof=1)) * (1 + 1 / len(group))
    if _constant(total, difference):
        return Statistic(None, (), None)
    return _t(difference, total**0.5, len(group) - 1)


def corrected_resampled_t(differences: Values, test_share: float) -> Statistic:
    """Return the corrected resampled t-test of paired differences over the folds of a cross-validation.

    Source: C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003), section 4,
    with the variance of the mean (1/J + n2/n1) s^2 instead of s^2 / J; for repeated cross-validation R. R. Bouckaert
    and E. Frank, "Evaluating the replicability of significance tests for comparing learning algorithms", PAKDD 2004.

    Args:
        differences: The differences of a metric on each of the J folds, over all repeats, (J,), at least two.
        test_share: n2 / n1, the number of test images over that of training images; 1 / (K - 1) for K folds.

    Raises:
        ValueError: fewer than two differences, or a share that is not positive.
    """
    if len(differences) < 2 or not test_share > 0:
        raise ValueError(f"{len(differences)} differences and a test share of {test_share}")
    folds, mean = len(differences), float(np.mean(differences))
    total = (1 / folds + test_share) * float(np.var(differences, ddof=1))
    if _constant(total, mean):
        return Statistic(None, (), None)
    return _t(mean, total**0.5, folds - 1)


def dietterich_t(differences: Values) -> Statistic:
    """Return the 5x2cv paired t-test.

    Source: T. G. Dietterich, "Approximate statistical tests for comparing supervised classification learning
    algorithms", Neural Computation 10 (1998), section 3.5: the first of the ten differences over the root of the mean
    of the five variances, t with 5 degrees of freedom. The interval is as wide as the test implies, around the mean of
    the ten differences, which varies less than the first: it is rather too wide than too narrow.

    Args:
        differences: The differences of a metric, (5, 2): five repeats of two folds.

    Raises:
        ValueError: another shape.
    """
    found = _five_by_two(differences)
    variance = float(_repeat_variances(found).mean())
    if _constant(variance, float(found[0, 0])):
        return Statistic(None, (), None)
    return _t(float(found[0, 0]), variance**0.5, 5, centre=float(found.mean()))


def alpaydin_f(differences: Values) -> Statistic:
    """Return the combined 5x2cv F test, which does not depend on which of the ten differences comes first.

    Source: E. Alpaydin, "Combined 5x2 cv F test for comparing supervised classification learning algorithms", Neural
    Computation 11 (1999): the sum of the ten squared differences over twice the sum of the five variances, F with 10
    and 5 degrees of freedom.

    Args:
        differences: As in `dietterich_t`.

    Raises:
        ValueError: another shape.
    """
    from scipy.special import fdtrc

    found = _five_by_two(differences)
    total = float(_repeat_variances(found).sum())
    if _constant(total, float(np.abs(found).max())):
        return Statistic(None, (), None)
    value = float((found**2).sum() / (2 * total))
    return Statistic(value, (10.0, 5.0), float(fdtrc(10, 5, value)))


def smallest_t_difference(test: Statistic, power: float = 0.8) -> float | None:
    """Return the smallest difference that a t-test finds with a given power; None if the test is undefined.

    It is the standard error times the quantiles of t for the level of 5 % and for the power, which approximates the
    noncentral t distribution.
    """
    from scipy.special import stdtrit

    if test.interval is None:
        return None
    quantile = two_sided_quantile(test.freedom[0])
    error = (test.interval[1] - test.interval[0]) / 2 / quantile
    return error * (quantile + float(stdtrit(test.freedom[0], power)))


def two_sided_quantile(freedom: float, confidence: float = 0.95) -> float:
    """Return the quantile of Student's t that bounds a two-sided interval."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


def sample_deviation(values: Sequence[float] | Values) -> float | None:
    """Return the standard deviation of a sample (divisor n - 1); None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _t(difference: float, error: float, freedom: float, centre: float | None = None) -> Statistic:
    from scipy.special import stdtr  # loads faster than scipy.stats

    value, half = difference / error, two_sided_quantile(freedom) * error
    middle = difference if centre is None else centre
    p_value = float(2 * stdtr(freedom, -abs(value)))
    return Statistic(value, (float(freedom),), p_value, (middle - half, middle + half))


def _constant(variance: float, size: float) -> bool:
    """Return whether a variance is zero but for rounding."""
    return not variance > 1e-24 * max(1.0, size * size)


def _five_by_two(differences: Values) -> npt.NDArray[np.float64]:
    found = np.asarray(differences, np.float64)
    if found.shape != (5, 2):
        raise ValueError(f"differences of shape {found.shape}; 5x2 cross-validation has (5, 2)")
    return found


def _repeat_variances(differences: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Dietterich's s^2 of each repeat, (5,): the sum, not the mean, of two squares."""
    squares = (differences - differences.mean(1, keepdims=True)) ** 2
    return np.asarray(squares.sum(1))
