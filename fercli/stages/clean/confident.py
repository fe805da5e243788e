"""Confident learning through cleanlab: labels contradicted by out-of-fold predictions (Northcutt et al. 2021)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.errors import FerError


def check_installed() -> None:
    """Check that cleanlab is installed.

    Raises:
        FerError: it is not installed.
    """
    try:
        import cleanlab.filter  # noqa: F401
    except ImportError as error:
        raise FerError("--labels: needs cleanlab; install it with: pip install 'fercli[labels]'") from error


def rank_label_issues(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.floating[Any]]) -> list[int]:
    """Return the positions of labels that are probably wrong, by increasing self-confidence.

    The number of labels of each class that truly belong to each other class is estimated from the predictions that are
    more confident in the other class than its own images are on average; that many of the least consistent labels are
    returned (prune by noise rate). The self-confidence is the predicted probability of the given label.

    Args:
        labels: Given labels, (N,).
        probabilities: Out-of-fold probabilities, (N, C), with rows adding up to 1.
    """
    from cleanlab.filter import find_label_issues

    if len(np.unique(labels)) < 2:  # nothing to confuse it with, and cleanlab needs two classes
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes without images
        found = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    places: list[int] = found.tolist()
    return places
