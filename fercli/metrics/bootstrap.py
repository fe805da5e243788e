"""Paired bootstrap of the differences between two models, or two groups of runs, on the same images.

Images are not resampled one by one: those with the same label and the same predictions by every run are one cell of a
table, and a resample is a draw of how often each cell occurs. Two models of seven emotions have at most 343 cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.metrics.confusion import metric_values

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]

RESAMPLES = 10_000
_CHUNK_BYTES = 1 << 26
"""Largest table of counts that is held at once."""


@dataclass(frozen=True)
class Bootstrap:
    """Differences, first minus second, of M = 3 + C metrics, as in `metric_values`; undefined ones are NaN.

    Attributes:
        difference: The observed difference, (M,).
        low: Lower bound of the 95 % percentile interval, (M,).
        high: Upper bound, (M,).
        error: Standard error: the standard deviation over the resamples, (M,).
    """

    difference: Floats
    low: Floats
    high: Floats
    error: Floats


def bootstrap_differences(
    labels: Integers, first: Integers, second: Integers, classes: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> Bootstrap:
    """Return the differences of the metrics of two groups of runs, with intervals over images and seeds.

    Each resample draws N of the N images, the same for all runs, since they share the images (B. Efron and R. J.
    Tibshirani, "An introduction to the bootstrap", 1993, chapters 8 and 13). Of a group of S > 1 runs it also draws
    S - 1 runs, which gives the mean over runs its variance s^2 / S without bias; drawing S would make the intervals of
    few runs too narrow (J. N. K. Rao and C. F. J. Wu, "Resampling inference with complex survey data", JASA 83, 1988).
    Drawing rows and columns of a table independently is at most conservative (A. B. Owen, "The pigeonhole bootstrap",
    Annals of Applied Statistics 1, 2007).

    Args:
        labels: (N,), 0 to classes - 1.
        first: The predictions of the first group's runs, (S, N); a single run is not resampled.
        second: The same of the second group, (T, N).
        classes: Number of classes, C.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Raises:
        ValueError: the shapes do not match, or there are no images.
    """
    runs = np.concatenate([first, second])
    if runs.ndim != 2 or runs.shape[1:] != labels.shape or not labels.size:
        raise ValueError(f"labels of shape {labels.shape}, predictions of shapes {first.shape} and {second.shape}")
    cells, counts = np.unique(np.concatenate([labels[None], runs]).astype(np.int16), axis=1, return_counts=True)
    indicators = _indicators(cells[0].astype(np.int64), cells[1:].astype(np.int64), classes)
    generator = np.random.default_rng(seed)
    sizes = (len(first), len(second))
    observed = _difference(counts[None], indicators, [np.full((1, size), 1 / size) for size in sizes])[0]
    found: list[Floats] = []
    step = max(1, _CHUNK_BYTES // (8 * max(len(labels), len(counts))))
    for start in range(0, resamples, step):
        number = min(step, resamples - start)
        drawn = _draw_counts(generator, counts, number)
        found.append(_difference(drawn, indicators, [_draw_weights(generator, size, number) for size in sizes]))
    samples = np.concatenate(found)
    low, high = _quantiles(samples)
    return Bootstrap(observed, low, high, _deviation(samples))


def _indicators(labels: Integers, runs: Integers, classes: int) -> list[npt.NDArray[np.float32]]:
    """Return for each run the matrix (cells, C * C) that adds up a table of cells to its confusion matrix."""
    places = np.arange(len(labels))
    found = []
    for predictions in runs:
        indicator = np.zeros((len(labels), classes * classes), np.float32)
        indicator[places, labels * classes + predictions] = 1
        found.append(indicator)
    return found


def _draw_counts(generator: np.random.Generator, counts: Integers, number: int) -> Integers:
    """Draw how often each cell occurs among N images, (number, cells)."""
    total = int(counts.sum())
    if 8 * len(counts) < total:
        return generator.multinomial(total, counts / total, size=number)
    # Almost as many cells as images: drawing images is faster than as many binomial numbers.
    cell_of = np.repeat(np.arange(len(counts)), counts)
    drawn = cell_of[generator.integers(0, total, (number, total))]
    drawn += np.arange(number)[:, None] * len(counts)
    return np.bincount(drawn.ravel(), minlength=number * len(counts)).reshape(number, len(counts))


def _draw_weights(generator: np.random.Generator, size: int, number: int) -> Floats:
    """Draw the weights of a group's runs, (number, size), rows summing to one."""
    if size == 1:
        return np.ones((number, 1))
    return generator.multinomial(size - 1, np.full(size, 1 / size), size=number) / (size - 1)


def _difference(counts: Integers, indicators: list[npt.NDArray[np.float32]], weights: list[Floats]) -> Floats:
    """Return the differences of the metrics for each table of counts, (number, M)."""
    table = counts.astype(np.float32)  # exact up to 16 million images
    classes = round(indicators[0].shape[1] ** 0.5)
    means, at = [], 0
    for group in weights:
        runs = indicators[at : at + group.shape[1]]
        values = (metric_values((table @ one).reshape(-1, classes, classes)) for one in runs)
        means.append(sum((group[:, run, None] * value for run, value in enumerate(values)), np.float64(0)))
        at += group.shape[1]
    return np.asarray(means[0] - means[1], np.float64)


def _quantiles(samples: Floats) -> tuple[Floats, Floats]:
    """Return the 2.5 % and 97.5 % quantiles of each column; NaN values, of resamples without a class, are left out."""
    low, high = (np.full(samples.shape[1], np.nan) for _ in range(2))
    for column in range(samples.shape[1]):
        known = samples[~np.isnan(samples[:, column]), column]
        if len(known):
            low[column], high[column] = np.quantile(known, [0.025, 0.975])
    return low, high


def _deviation(samples: Floats) -> Floats:
    known = ~np.isnan(samples)
    count = np.maximum(known.sum(0), 1)
    filled = np.where(known, samples, 0.0)
    mean = filled.sum(0) / count
    spread = np.sqrt((np.where(known, samples - mean, 0.0) ** 2).sum(0) / count)
    return np.where(known.any(0), spread, np.nan)
