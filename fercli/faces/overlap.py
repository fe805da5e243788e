"""Of boxes that lie over each other, keeping one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def keep_surest(boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], most: float) -> list[int]:
    """Return which boxes stay when each takes away those less sure that overlap it (non-maximum suppression).

    Args:
        boxes: (N, 4), left, top, width, height.
        scores: (N,); equal ones in order of their number.
        most: The overlap (intersection over union) that two boxes may have.

    Returns:
        Their numbers, the surest first.
    """
    order = np.argsort(-scores, kind="stable")
    ends = boxes[:, :2] + boxes[:, 2:]
    areas = boxes[:, 2] * boxes[:, 3]
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low, high = np.maximum(boxes[first, :2], boxes[rest, :2]), np.minimum(ends[first], ends[rest])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        order = rest[shared <= most * (areas[first] + areas[rest] - shared)]
    return kept
