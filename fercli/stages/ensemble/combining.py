"""Combination of the members' predictions, and selection of members and weights on validation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fercli.evaluation.mixture import fit_weights, log_loss
from fercli.stages.ensemble.config import Method

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

TIE = 1e-3
"""The share of a tied vote given to the winner, so that it has the highest probability."""


def combine(method: Method, members: Floats, weights: Floats) -> Floats:
    """Return the ensemble's probabilities, (N, C).

    mean and weighted: the members' mean, weighted by `weights`. vote: the share of votes for each emotion, a vote being
    a member's most probable emotion; a tie goes to the tied emotion with the highest mean probability, which gets 0.001
    of the total share more.

    Args:
        method: mean, weighted or vote.
        members: The members' probabilities, (K, N, C).
        weights: (K,), summing to one; a member of weight 0 is ignored.
    """
    mean: Floats = (weights[:, None, None] * members).sum(0)
    if method != "vote":
        return mean
    shares: Floats = (weights[:, None, None] * (members.argmax(2)[:, :, None] == np.arange(members.shape[2]))).sum(0)
    most = shares > shares.max(1, keepdims=True) - 1e-9  # sums of 1/3 differ in the last digit
    winner = np.where(most, mean, -1).argmax(1)
    tied = most.sum(1) > 1
    shares[tied] *= 1 - TIE
    shares[tied, winner[tied]] += TIE
    return shares


def weigh(method: Method, members: Floats, labels: Labels, chosen: list[int]) -> Floats:
    """Return the weights, (K,): for selected members equal or maximising the likelihood of the labels; 0 for others.

    Args:
        method: mean, weighted or vote.
        members: The members' probabilities on validation, (K, N, C); only used by weighted.
        labels: (N,).
        chosen: Indices of the members.
    """
    weights = np.zeros(len(members))
    weights[chosen] = 1 / len(chosen)
    if method == "weighted":
        weights[chosen] = fit_weights(_label_probabilities(members, labels)[:, chosen])
    return weights


def select_members(method: Method, members: Floats, labels: Labels) -> list[int]:
    """Return the members of the most accurate ensemble, found by adding one at a time.

    The first member is the most accurate one, each next the one that makes the ensemble the most accurate, until all
    are included; the most accurate of these ensembles is selected, the smallest if several are equal. Ties between
    members are broken by the lower loss of the mean, then by the given order. (Forward selection without replacement:
    Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004.)

    Args:
        method: mean, weighted or vote.
        members: The members' probabilities on validation, (K, N, C).
        labels: (N,).

    Returns:
        Indices of the members, ascending.
    """
    chosen: list[int] = []
    best: list[int] = []
    most = -1.0
    while len(chosen) < len(members):
        others = [k for k in range(len(members)) if k not in chosen]
        scores = [score(method, members, labels, [*chosen, k]) for k in others]
        at = max(range(len(others)), key=lambda i: scores[i])  # the first if several are equal
        chosen = [*chosen, others[at]]
        if scores[at][0] > most:
            most, best = scores[at][0], chosen
    return sorted(best)


def score(method: Method, members: Floats, labels: Labels, chosen: list[int]) -> tuple[float, float]:
    """Return the sort key of an ensemble of the chosen members: its accuracy, then the negative loss of its mean."""
    weights = weigh(method, members, labels, chosen)
    accuracy = float((combine(method, members, weights).argmax(1) == labels).mean())
    return accuracy, -log_loss(_label_probabilities(members, labels), weights)


def losses(members: Floats, labels: Labels) -> list[float]:
    """Return each member's mean negative log likelihood of the labels."""
    return [log_loss(_label_probabilities(members, labels), one) for one in np.eye(len(members))]


def _label_probabilities(members: Floats, labels: Labels) -> Floats:
    """Return each member's probability of each label, (N, K)."""
    given: Floats = members[:, np.arange(len(labels)), labels].T
    return given
