"""Intersection over union (IoU) and non-maximum suppression (NMS) of boxes."""

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


def nms(boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], max_iou: float) -> list[int]:
    """Return the indices of the boxes kept by non-maximum suppression.

    OpenCV's NMSBoxes rounds scores to 32 bits, so among nearly equal scores it may keep a different box.

    Args:
        boxes: (N, 4), left, top, width, height.
        scores: (N,); ties are broken by index.
        max_iou: Boxes whose IoU with a higher-scoring box exceeds this are suppressed.

    Returns:
        Indices, highest score first.
    """
    order = np.argsort(-scores, kind="stable")
    corners = boxes[:, :2] + boxes[:, 2:]
    areas = boxes[:, 2] * boxes[:, 3]
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low, high = np.maximum(boxes[first, :2], boxes[rest, :2]), np.minimum(corners[first], corners[rest])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        order = rest[shared <= max_iou * (areas[first] + areas[rest] - shared)]
    return kept
