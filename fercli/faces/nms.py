"""How far boxes lie over each other, and keeping one of those that do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fercli.faces.base import Box


def iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes (left, top, width, height)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    union = one[2] * one[3] + other[2] * other[3] - shared
    return shared / union if union > 0 else 0.0


def nms(boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], most: float) -> list[int]:
    """Return which boxes stay when each takes away those less sure that overlap it (non-maximum suppression).

    OpenCV's NMSBoxes rounds scores to 32 bits: of nearly equal ones it may keep another.

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
