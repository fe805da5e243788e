"""Two sides against each other: the test that fits what is known about them, and the intervals of all differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.evaluation.folds import FIVE_BY_TWO
from fercli.metrics.bootstrap import Bootstrap, bootstrap_differences
from fercli.metrics.confusion import metric_values
from fercli.metrics.paired_tests import (
    Statistic,
    alpaydin_f,
    corrected_resampled_t,
    dietterich_t,
    sample_deviation,
    single_against_group,
    smallest_t_difference,
    welch_t,
)
from fercli.metrics.significance import McNemar, mcnemar, smallest_difference
from fercli.stages.compare.alignment import Aligned
from fercli.stages.compare.summary import DifferenceSummary, Method, MetricSummary, TestSummary

Floats = npt.NDArray[np.float64]
OVERALL = ("accuracy", "balanced_accuracy", "macro_f1")
_FOUND_AT_80 = 1.959964 + 0.841621
"""Of the standard error, the difference that a normal test of 5 % finds with a probability of 80 %."""


@dataclass(frozen=True)
class Compared:
    """The comparison of two sides, before correction.

    Attributes:
        method: What the test rests on.
        differences: By metric.
        tests: Tests of the difference in accuracy, the decisive one first.
        smallest: The smallest difference in accuracy that would probably have been found.
        table: McNemar's table of two single models.
    """

    method: Method
    differences: dict[str, DifferenceSummary]
    tests: list[TestSummary]
    smallest: float | None
    table: McNemar | None = None


def metric_names(emotions: Sequence[str]) -> list[str]:
    """Return the names of the metrics, in the order of `metric_values`."""
    return [*OVERALL, *(f"recall {emotion}" for emotion in emotions)]


def values_of(data: Aligned, side: int) -> Floats:
    """Return the metrics of a side's runs, or of its folds, (S, 3 + C); undefined ones are NaN."""
    classes = len(data.emotions)
    if data.fold is None:
        cells = data.labels * classes + data.predicted[side]
    else:
        # One table for each fold: rows outside the fold fall into a cell of their own, which is cut off.
        inside = data.fold == np.arange(data.folds * data.repeats)[:, None]
        cells = np.where(inside, data.labels * classes + data.predicted[side][0], classes * classes)
    tables = [np.bincount(row, minlength=classes**2 + 1)[:-1].reshape(classes, classes) for row in cells]
    return metric_values(np.stack(tables))


def summarise_side(data: Aligned, side: int) -> dict[str, MetricSummary]:
    """Return a side's metrics: means, standard deviations and values over its runs or folds."""
    found = {}
    for name, column in zip(metric_names(data.emotions), values_of(data, side).T, strict=True):
        known = column[~np.isnan(column)]
        found[name] = MetricSummary(
            mean=float(known.mean()) if len(known) else None,
            deviation=sample_deviation(known),
            each=[None if np.isnan(value) else float(value) for value in column],
        )
    return found


def compare_pair(data: Aligned, first: int, second: int, *, resamples: int, seed: int) -> Compared:
    """Compare two sides of the same images."""
    a, b = values_of(data, first), values_of(data, second)
    if data.fold is not None:
        return _folds(data, a, b)
    found = bootstrap_differences(
        data.labels,
        data.predicted[first],
        data.predicted[second],
        len(data.emotions),
        resamples=resamples,
        seed=seed,
    )
    if len(a) == len(b) == 1:
        return _images(data, first, second, found, a, b)
    return _seeds(data, found, a, b)


def _images(data: Aligned, first: int, second: int, found: Bootstrap, a: Floats, b: Floats) -> Compared:
    """One model a side: McNemar's test of the images on which only one is right."""
    table = mcnemar(*(data.predicted[side][0] == data.labels for side in (first, second)))
    only = table.only_first, table.only_second
    n = len(data.labels)
    tests = [
        TestSummary(
            name="McNemar's test, mid-p",
            statistic=None,
            freedom=[],
            p_value=table.mid_p,
            meaning=f"Only the first is right on {only[0]:,} images, only the second on {only[1]:,}: how probable so "
            "uneven a split is if both are equally good. The mid-p value errs about as often as it states.",
        ),
        TestSummary(
            name="McNemar's test, exact",
            statistic=None,
            freedom=[],
            p_value=table.p_value,
            meaning="The same from the exact binomial distribution, which finds differences less often than it states.",
        ),
    ]
    p_values: list[float | None] = [table.mid_p] + [None] * (a.shape[1] - 1)
    smallest = smallest_difference(n, sum(only) / n)
    return Compared("images", _differences(data, a, b, found, p_values), tests, smallest, table)


def _seeds(data: Aligned, found: Bootstrap, a: Floats, b: Floats) -> Compared:
    """Several runs on at least one side: a t-test over seeds, intervals over seeds and images."""
    single = min(len(a), len(b)) == 1
    results = [_seed_test(*(column[~np.isnan(column)] for column in pair)) for pair in zip(a.T, b.T, strict=True)]
    if single:
        method: Method = "one run against seeds"
        name = "t-test of one run against a group of seeds"
        meaning = (
            "Whether the one run lies outside of what other seeds of the group give, if its own recipe varies as much "
            "(Crawford and Howell 1998)."
        )
    else:
        method, name = "seeds", "Welch's t-test over seeds"
        meaning = "Whether the means over seeds differ, on these images; both sides may vary differently."
    error = found.error[0]
    smallest = max(_FOUND_AT_80 * float(error), smallest_t_difference(results[0]) or 0.0)
    tests = [_test(name, results[0], meaning)]
    p_values = [one.p_value for one in results]
    return Compared(method, _differences(data, a, b, found, p_values), tests, smallest)


def _seed_test(first: Floats, second: Floats) -> Statistic:
    if min(len(first), len(second)) > 1:
        return welch_t(first, second)
    if max(len(first), len(second)) < 2 or not len(first) or not len(second):
        return Statistic(None, (), None)
    if len(first) == 1:
        return single_against_group(float(first[0]), second)
    return _reversed(single_against_group(float(second[0]), first))


def _reversed(found: Statistic) -> Statistic:
    """Return the test of the difference with the opposite sign."""
    interval = None if found.interval is None else (-found.interval[1], -found.interval[0])
    return replace(found, value=None if found.value is None else -found.value, interval=interval)


def _folds(data: Aligned, a: Floats, b: Floats) -> Compared:
    """Cross-validations with equal folds: tests of the paired differences that allow for overlapping training sets."""
    if data.scheme == FIVE_BY_TWO:
        return _five_by_two(data, a, b)
    differences = (a - b).T
    results = [_over(column, lambda known: corrected_resampled_t(known, data.test_share)) for column in differences]
    tests = [
        _test(
            "corrected resampled t-test",
            results[0],
            f"Whether the mean of the {len(a):,} paired differences is zero; the variance allows for training sets "
            "that overlap (Nadeau and Bengio 2003), which the ordinary paired t-test ignores.",
        )
    ]
    return Compared("kfold", _of_folds(data, a, b, results, results), tests, smallest_t_difference(results[0]))


def _five_by_two(data: Aligned, a: Floats, b: Floats) -> Compared:
    def over(test: Callable[[Floats], Statistic]) -> list[Statistic]:
        return [
            test(column.reshape(5, 2)) if not np.isnan(column).any() else Statistic(None, (), None)
            for column in (a - b).T
        ]

    f_tests, t_tests = over(alpaydin_f), over(dietterich_t)
    tests = [
        _test(
            "Alpaydin's combined 5x2cv F test",
            f_tests[0],
            "Whether all ten differences are zero on average; it uses all of them (Alpaydin 1999).",
        ),
        _test(
            "Dietterich's 5x2cv paired t-test",
            t_tests[0],
            "The older test, of the first of the ten differences (Dietterich 1998); it depends on their order.",
        ),
    ]
    return Compared("5x2", _of_folds(data, a, b, t_tests, f_tests), tests, smallest_t_difference(t_tests[0]))


def _over(column: Floats, test: Callable[[Floats], Statistic]) -> Statistic:
    """Test the folds in which a metric is defined."""
    known = column[~np.isnan(column)]
    return test(known) if len(known) > 1 else Statistic(None, (), None)


def _test(name: str, found: Statistic, meaning: str) -> TestSummary:
    return TestSummary(
        name=name, statistic=found.value, freedom=list(found.freedom), p_value=found.p_value, meaning=meaning
    )


def _differences(
    data: Aligned, a: Floats, b: Floats, found: Bootstrap, p_values: Sequence[float | None]
) -> dict[str, DifferenceSummary]:
    means = [_means(values) for values in (a, b)]
    return {
        name: _difference(means[0][m], means[1][m], found.difference[m], (found.low[m], found.high[m]), p_values[m])
        for m, name in enumerate(metric_names(data.emotions))
    }


def _of_folds(
    data: Aligned, a: Floats, b: Floats, intervals: Sequence[Statistic], tests: Sequence[Statistic]
) -> dict[str, DifferenceSummary]:
    means = [_means(values) for values in (a, b)]
    return {
        name: _difference(means[0][m], means[1][m], means[0][m] - means[1][m], intervals[m].interval, tests[m].p_value)
        for m, name in enumerate(metric_names(data.emotions))
    }


def _means(values: Floats) -> Floats:
    """Return the mean of each metric over the runs or folds in which it is defined."""
    known = ~np.isnan(values)
    totals = np.where(known, values, 0.0).sum(0)
    return np.asarray(np.divide(totals, known.sum(0), out=np.full(totals.shape, np.nan), where=known.any(0)))


def _difference(
    first: float, second: float, difference: float, interval: Sequence[float] | None, p_value: float | None
) -> DifferenceSummary:
    bounds = None if interval is None or np.isnan(interval).any() else [float(bound) for bound in interval]
    return DifferenceSummary(
        first=_known(first), second=_known(second), difference=_known(difference), interval=bounds, p_value=p_value
    )


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
