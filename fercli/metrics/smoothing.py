"""Smoothing of values sampled over time, and the pieces between gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def split_at_gaps(times: Floats, longest: float) -> list[slice]:
    """Return the pieces of ascending times (N,) within which no step is longer than `longest` seconds."""
    if not len(times):
        return []
    starts = [0, *(int(i) + 1 for i in np.flatnonzero(np.diff(times) > longest)), len(times)]
    return [slice(start, end) for start, end in pairwise(starts)]


def moving_mean(times: Floats, values: Floats, window: float) -> Floats:
    """Return at each time the mean of the values within half a window before and after it.

    Args:
        times: (N,), ascending, seconds.
        values: (N, C).
        window: Seconds; 0 returns the values.

    Returns:
        (N, C). Rows that sum to 1 still do.
    """
    reach = window / 2 + 1e-9
    low, high = np.searchsorted(times, times - reach, "left"), np.searchsorted(times, times + reach, "right")
    sums = np.vstack([np.zeros(values.shape[1]), values.cumsum(0)])
    means: Floats = (sums[high] - sums[low]) / (high - low)[:, None]
    return means
