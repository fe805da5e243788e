"""Two halves of a split: one to search by, one that shows what the search is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def first_half(labels: npt.NDArray[np.integer[Any]], digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return which faces are in the first half of a split, (N,).

    Each emotion is divided evenly; where its number is odd, its last face goes to the half that is smaller so far. The
    halves depend on the pixels alone, not on the order of the faces, and equal pixels are neighbours. A pack does not
    know persons: faces of one person can be in both halves.

    Args:
        labels: (N,).
        digests: SHA-256 of each face, uint8 (N, 32).

    >>> first_half(np.array([0, 0, 1, 1]), np.array([[3], [1], [2], [9]], np.uint8)).tolist()
    [False, True, True, False]
    """
    order = np.lexsort((*digests.T[::-1], labels))  # by emotion, then by digest
    first = np.zeros(len(labels), bool)
    first[order[::2]] = True
    return first
