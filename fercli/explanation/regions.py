"""The share of a face's heat within the action unit regions of an emotion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fercli.faces.action_units import EMOTION_UNITS, UNITS, Box
from fercli.faces.base import Point

Heat = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ALIGNED: tuple[Point, ...] = ((0.287, 0.23), (0.713, 0.23), (0.5, 0.54), (0.314, 0.73), (0.686, 0.73))
"""Eyes, nose and mouth corners in the aligned square of the action unit boxes: the median over synthetic faces, whose
squares are known."""

TYPICAL: tuple[Point, ...] = ((0.31, 0.39), (0.69, 0.39), (0.5, 0.605), (0.34, 0.765), (0.66, 0.765))
"""The same landmarks in a typical face crop: the median over FER2013's faces, as YuNet finds them. In Haar's boxes they
are within 0.03 of it, in FER2013 and in synthetic photographs."""


def alignment_matrix(landmarks: Sequence[Point] | None) -> npt.NDArray[np.float64]:
    """Return the (2, 3) affine matrix from a face image to the aligned square, both in relative coordinates.

    Args:
        landmarks: The five landmarks in the image; None: those of a typical crop.
    """
    points = np.column_stack([np.asarray(landmarks or TYPICAL, np.float64), np.ones(len(ALIGNED))])
    matrix, *_ = np.linalg.lstsq(points, np.asarray(ALIGNED, np.float64), rcond=None)
    return np.asarray(matrix.T, np.float64)


def box_mask(boxes: Sequence[Box], landmarks: Sequence[Point] | None, size: int) -> Mask:
    """Return the pixels of a face image, (size, size), whose centre is in any of the boxes."""
    centres = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    matrix = alignment_matrix(landmarks)
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = np.zeros((size, size), bool)
    for left, top, width, height in boxes:
        inside |= (left <= u) & (u <= left + width) & (top <= v) & (v <= top + height)
    return inside


def emotion_units(emotion: str) -> tuple[int, ...]:
    """Return the action units of an emotion; empty for neutral and for any emotion other than the seven."""
    return EMOTION_UNITS.get(emotion, ())


def unit_mask(units: Sequence[int], landmarks: Sequence[Point] | None, size: int) -> Mask:
    """Return the pixels of a face image, (size, size), within the regions of action units."""
    return box_mask([box for unit in units for box in UNITS[unit].boxes], landmarks, size)


def share(heat: Heat, mask: Mask) -> float:
    """Return the share of the heat, (S, S), within a mask; 0 if there is no heat."""
    total = float(heat.sum(dtype=np.float64))
    return float(heat[mask].sum(dtype=np.float64)) / total if total > 0 else 0.0
