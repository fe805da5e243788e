"""Confident learning, through cleanlab: which labels out-of-fold predictions speak against (Northcutt et al. 2021)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.errors import FerError


def check_installed() -> None:
    """Tell what to install where cleanlab is missing.

    Raises:
        FerError: it is.
    """
    try:
        import cleanlab.filter  # noqa: F401
    except ImportError as error:
        raise FerError("--labels: needs cleanlab; install it with: pip install 'fercli[labels]'") from error


def suspected(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.floating[Any]]) -> list[int]:
    """Return the places of the labels that are probably wrong, that of the lowest self-confidence first.

    How many labels of each class are really of each other class is estimated from the predictions that are surer of
    the other class than its own images are on average; that many of the least fitting are suspected (pruning by noise
    rate). The self-confidence is the probability of the given label.

    Args:
        labels: (N,).
        probabilities: Out-of-fold, (N, C), rows adding up to 1.
    """
    from cleanlab.filter import find_label_issues

    if len(np.unique(labels)) < 2:  # nothing to confuse it with, and cleanlab wants two
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that have no image
        found = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    places: list[int] = found.tolist()
    return places
