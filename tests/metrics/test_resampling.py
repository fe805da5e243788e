"""The interval of a cross-validation's mean."""

import math

import numpy as np
import pytest
from scipy import stats

from fercli.metrics.resampling import corrected_interval


def test_interval_of_a_hand_computed_example() -> None:
    # Mean 0.68, s = 0.0570088; t(0.975, 4) = 2.7764451; factor sqrt(1/5 + 1/4) = 0.6708204; half width 0.1061786.
    low, high = corrected_interval([0.6, 0.7, 0.65, 0.75, 0.7], 1 / 4)
    assert low == pytest.approx(0.68 - 0.1061786, abs=1e-6)
    assert high == pytest.approx(0.68 + 0.1061786, abs=1e-6)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_without_overlap_it_is_the_ordinary_t_interval(confidence: float) -> None:
    values = np.random.default_rng(0).normal(0.6, 0.05, 10)
    expected = stats.t.interval(confidence, 9, values.mean(), stats.sem(values))
    assert corrected_interval(values.tolist(), 0, confidence) == pytest.approx(expected)


def test_overlap_widens_it_by_the_published_factor() -> None:
    values = [0.5, 0.6, 0.55, 0.52, 0.61, 0.58, 0.57, 0.59, 0.53, 0.6]
    narrow, wide = corrected_interval(values, 0), corrected_interval(values, 1 / 9)
    assert (wide[1] - wide[0]) / (narrow[1] - narrow[0]) == pytest.approx(math.sqrt((1 / 10 + 1 / 9) / (1 / 10)))
    assert corrected_interval([0.5] * 4, 1 / 3) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "ratio", "confidence", "message"),
    [([0.5], 0.1, 0.95, "at least two"), ([0.5, 0.6], -1, 0.95, "ratio"), ([0.5, 0.6], 0.1, 1.0, "confidence")],
)
def test_invalid_values_are_refused(values: list[float], ratio: float, confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corrected_interval(values, ratio, confidence)
