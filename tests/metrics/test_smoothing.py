"""Moving means over time, against the definition, and pieces between gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.metrics.smoothing import moving_mean, split_at_gaps


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40, unique=True), st.floats(0, 10), st.integers(0, 9))
def test_moving_mean_by_definition(times: list[float], window: float, seed: int) -> None:
    t = np.sort(np.array(times))
    values = np.random.default_rng(seed).dirichlet(np.ones(3), len(t))
    found = moving_mean(t, values, window)
    for number, time in enumerate(t):
        near = np.abs(t - time) <= window / 2 + 1e-9
        assert found[number] == pytest.approx(values[near].mean(0))
    assert found.sum(1) == pytest.approx(np.ones(len(t)))


def test_no_window_returns_the_values() -> None:
    values = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert moving_mean(np.array([0.0, 0.1, 0.2]), values, 0.0) == pytest.approx(values)


def test_pieces_between_gaps() -> None:
    times = np.array([0.0, 0.1, 0.2, 1.0, 1.1, 5.0])
    assert split_at_gaps(times, 0.25) == [slice(0, 3), slice(3, 5), slice(5, 6)]
    assert split_at_gaps(times, 10) == [slice(0, 6)]
    assert split_at_gaps(times[:1], 0.25) == [slice(0, 1)]
    assert split_at_gaps(times[:0], 0.25) == []
