"""Maximum-likelihood weights of a mixture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-10
"""Tolerance of the mean negative log likelihood from its minimum."""
FLOOR = 1e-12
"""Lower bound of probabilities: a label that every member excludes would make the likelihood zero."""
NEAR_ZERO = 1e-3
"""A weight below this whose gradient would reduce it is set to zero at once."""
_STEPS = 10_000


def fit_weights(given: Floats) -> Floats:
    """Return the non-negative weights, summing to one, that minimise a mixture's mean negative log likelihood.

    The log likelihood is concave in the weights, so the minimum does not depend on a start or seed. With g_k the mean
    over the images of p_ik / (sum_j w_j p_ij), every g_k is at most 1 at the minimum, and log(max g_k) bounds how far
    any weights are from it (Lindsay, "The geometry of mixture likelihoods", Annals of Statistics 11, 1983): this is
    the stopping criterion. Each step multiplies w_k by g_k (EM, which never increases the loss), then tries a Newton
    step on the weights that are or should be positive (Bertsekas, "Projected Newton methods", SIAM J. Control 20,
    1982). With fewer different images than members, that step can fail; then weight is exchanged between
    two members (Böhning, "A vertex-exchange method in D-optimal design theory", Metrika 33, 1986).

    Args:
        given: The probability of each of N labels by each of K members, (N, K), in 0..1.

    Returns:
        (K,).
    """
    p = np.maximum(given, FLOOR)
    weights = np.full(p.shape[1], 1 / p.shape[1])
    for _ in range(_STEPS):
        gradient = _gradient(p, weights)
        if np.log(gradient.max()) <= TOLERANCE:
            break
        risen = weights * gradient / (weights @ gradient)
        weights = _newton(p, risen)
        if weights is risen:
            weights = _exchange(p, risen)
    return weights


def log_loss(p: Floats, weights: Floats) -> float:
    """Return the mean negative log likelihood of a mixture; `p` is (N, K), `weights` (K,)."""
    return float(-np.log(np.maximum(p @ weights, FLOOR)).mean())


def _gradient(p: Floats, weights: Floats) -> Floats:
    """Return g, (K,), the gradient of the log likelihood: above 1 where more weight would lower the loss."""
    gradient: Floats = (p / (p @ weights)[:, None]).mean(0)
    return gradient


def _newton(p: Floats, weights: Floats) -> Floats:
    """Return the weights after a Newton step, halved until it lowers the loss; unchanged if it never does.

    A term replaces the constraint on the sum: the minimum of loss(w) + sum(w) over w >= 0 sums to one.
    """
    shares = p / (p @ weights)[:, None]
    slope = 1 - shares.mean(0)
    free = (weights > NEAR_ZERO) | (slope < 0)
    curvature = shares[:, free].T @ shares[:, free] / len(p)
    curvature += 1e-12 * np.trace(curvature) * np.eye(len(curvature))  # two members may give equal predictions
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


def _exchange(p: Floats, weights: Floats) -> Floats:
    """Return the weights after moving weight from the member with the smallest gradient to that with the largest.

    As much is moved as lowers the loss most.
    """
    gradient = _gradient(p, weights)
    loser, winner = int(np.where(weights > 0, gradient, np.inf).argmin()), int(gradient.argmax())
    mixture, difference = p @ weights, p[:, winner] - p[:, loser]
    low, high = 0.0, float(weights[loser])
    for _ in range(60):  # bisection: the slope of the log likelihood falls with the weight that is moved
        middle = (low + high) / 2
        if (difference / (mixture + middle * difference)).mean() > 0:
            low = middle
        else:
            high = middle
    moved = weights.copy()
    moved[loser] -= high
    moved[winner] += high
    return moved
