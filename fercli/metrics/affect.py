"""How well predicted valence or arousal agrees with what was annotated, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

RESAMPLES = 1000
_CHUNK = 1 << 23
"""Largest number of counts that are held at once."""
_NAMES = ("ccc", "rmse", "pearson", "sign_agreement")


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval, all NaN if it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """The agreement over N faces.

    Attributes:
        ccc: Concordance correlation coefficient, 2 s_xy / (s_x² + s_y² + (m_x - m_y)²), of the biased (1 / N) moments
            (L. I. Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 1989): 1 if
            all are equal, 0 without any relation; unlike the correlation it is lower for another scale or mean.
        rmse: Root mean squared error, in the units of the values.
        pearson: Pearson's correlation.
        sign_agreement: Share of faces whose values have the same sign (SAGR; Nicolaou et al. 2011, "Continuous
            prediction of spontaneous affect from multiple cues and modalities in valence-arousal space"); a value of
            zero has the sign of another zero only.
        n: Number of faces.
    """

    ccc: Estimate
    rmse: Estimate
    pearson: Estimate
    sign_agreement: Estimate
    n: int


def agreement(predicted: Floats, annotated: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Agreement:
    """Return the agreement, with percentile bootstrap intervals (Efron and Tibshirani 1993, chapter 13).

    CCC and correlation are undefined for one face, or if all values are equal.

    Args:
        predicted: (N,), without NaN.
        annotated: (N,), without NaN.
        resamples: Number of resamples of the faces; without any, the intervals are NaN.
        seed: Seed of the draws.

    Raises:
        ValueError: the shapes do not match, or there are no faces.
    """
    if predicted.shape != annotated.shape or predicted.ndim != 1 or not predicted.size:
        raise ValueError(f"predictions of shape {predicted.shape}, annotations of shape {annotated.shape}")
    x, y = predicted.astype(np.float64), annotated.astype(np.float64)
    n = len(x)
    # Shifted by the annotations' mean, so that differences of squares do not cancel.
    a, b = x - y.mean(), y - y.mean()
    moments = np.stack([a, b, a * a, b * b, a * b, (x - y) ** 2, np.sign(x) == np.sign(y)], 1)
    observed = _metrics(np.ones((1, n)) @ moments / n)[:, 0]
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    found = [
        _metrics(_draw_counts(generator, n, min(step, resamples - start)) @ moments / n)
        for start in range(0, resamples, step)
    ]
    samples = np.concatenate(found, 1) if found else np.full((len(_NAMES), 1), np.nan)
    estimates = {name: _estimate(observed[k], samples[k]) for k, name in enumerate(_NAMES)}
    return Agreement(**estimates, n=n)


def _draw_counts(generator: np.random.Generator, n: int, number: int) -> npt.NDArray[np.int64]:
    """Draw how often each face occurs in each of several resamples, (number, n)."""
    drawn = generator.integers(0, n, (number, n)) + np.arange(number)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=number * n).reshape(number, n)


def _metrics(means: Floats) -> Floats:
    """Return the metrics, (4, R), of means of the moments over faces, (R, 7); undefined ones are NaN."""
    a, b, aa, bb, ab, squared, same = means.T
    variance, other, covariance = np.maximum(aa - a * a, 0), np.maximum(bb - b * b, 0), ab - a * b
    spread = variance + other
    defined = (variance > _ROUNDING) & (other > _ROUNDING)
    with np.errstate(invalid="ignore", divide="ignore"):
        ccc = np.where(spread > _ROUNDING, 2 * covariance / (spread + (a - b) ** 2), np.nan)
        pearson = np.where(defined, covariance / np.sqrt(variance * other), np.nan)
    return np.stack([ccc, np.sqrt(squared), np.clip(pearson, -1, 1), same])


_ROUNDING = 1e-14
"""A variance below it is that of equal values in -1..1, computed with rounding errors."""


def _estimate(value: float, samples: Floats) -> Estimate:
    known = samples[~np.isnan(samples)]
    if np.isnan(value) or not len(known):
        return Estimate(float(value), np.nan, np.nan)
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))
