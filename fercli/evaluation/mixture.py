"""The weights of a mixture that make given labels likeliest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-10
"""How far the mean negative log likelihood may be from its least."""
FLOOR = 1e-12
"""A probability is taken as no smaller: a label that every member excludes would make the likelihood zero."""
NEAR_ZERO = 1e-3
"""A weight this small that would better be smaller goes to zero at once."""
_STEPS = 10_000


def fit_weights(given: Floats) -> Floats:
    """Return the non-negative weights, summing to one, that minimise a mixture's mean negative log likelihood.

    The likelihood is concave in the weights, so its least is one, and no start or seed matters. With g_k the mean over
    the images of p_ik / (sum_j w_j p_ij), every g_k is 1 at most at the least, and log(max g_k) bounds how far any
    weights are from it (Lindsay, "The geometry of mixture likelihoods", Annals of Statistics 11, 1983): that is when
    the search ends. Each step multiplies w_k by g_k (EM, which never goes up), then tries Newton's step among the
    weights that are above zero or want to be (Bertsekas, "Projected Newton methods", SIAM J. Control 20, 1982).

    Args:
        given: What each of K members gave each of N labels, (N, K), in 0..1.

    Returns:
        (K,).
    """
    p = np.maximum(given, FLOOR)
    weights = np.full(p.shape[1], 1 / p.shape[1])
    for _ in range(_STEPS):
        pull = _pull(p, weights)
        if np.log(pull.max()) <= TOLERANCE:
            break
        weights = _newton(p, weights * pull / (weights @ pull))
    return weights


def log_loss(p: Floats, weights: Floats) -> float:
    """Return the mean negative log likelihood of a mixture; `p` is (N, K), `weights` (K,)."""
    return float(-np.log(np.maximum(p @ weights, FLOOR)).mean())


def _pull(p: Floats, weights: Floats) -> Floats:
    """Return g, (K,): above 1 where more weight would lower the loss."""
    pull: Floats = (p / (p @ weights)[:, None]).mean(0)
    return pull


def _newton(p: Floats, weights: Floats) -> Floats:
    """Return the weights after Newton's step, halved until it lowers the loss; the weights where it never does.

    The constraint on the sum is traded for a term: the least of loss(w) + sum(w) over w >= 0 sums to one by itself.
    """
    shares = p / (p @ weights)[:, None]
    slope = 1 - shares.mean(0)
    free = (weights > NEAR_ZERO) | (slope < 0)
    curvature = shares[:, free].T @ shares[:, free] / len(p)
    curvature += 1e-12 * np.trace(curvature) * np.eye(len(curvature))  # two members may predict the same
    step = -weights
    step[free] = -np.linalg.solve(curvature, slope[free])
    before = log_loss(p, weights)
    for length in 0.5 ** np.arange(20):
        tried: Floats = np.maximum(weights + length * step, 0)
        if not tried.any():
            continue
        tried /= tried.sum()
        if log_loss(p, tried) < before:
            return tried
    return weights
