"""How much of a face's heat lies where the action units of an emotion are seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fercli.faces.action_units import EMOTION_UNITS, UNITS, Box
from fercli.faces.base import Point

Heat = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ALIGNED: tuple[Point, ...] = ((0.287, 0.23), (0.713, 0.23), (0.5, 0.54), (0.314, 0.73), (0.686, 0.73))
"""Where eyes, nose and corners of the mouth lie in the square that the action units' boxes are shares of: the median
over drawn faces, whose squares are known."""

FRAMED: tuple[Point, ...] = ((0.31, 0.39), (0.69, 0.39), (0.5, 0.605), (0.34, 0.765), (0.66, 0.765))
"""Where they lie in a face framed as usual: the median over FER2013's faces, as YuNet finds them. In Haar's boxes they
lie within 0.03 of it, in FER2013 and in drawn photographs."""


def placement(landmarks: Sequence[Point] | None) -> npt.NDArray[np.float64]:
    """Return the (2, 3) matrix from places in a face's picture to places in the aligned square, both as shares.

    Args:
        landmarks: The five in the picture; None: the face is framed as usual.
    """
    seen = np.column_stack([np.asarray(landmarks or FRAMED, np.float64), np.ones(len(ALIGNED))])
    matrix, *_ = np.linalg.lstsq(seen, np.asarray(ALIGNED, np.float64), rcond=None)
    return np.asarray(matrix.T, np.float64)


def mask_of(boxes: Sequence[Box], landmarks: Sequence[Point] | None, size: int) -> Mask:
    """Return which pixels of a face's picture, (size, size), have their centre in any of the boxes."""
    centres = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    matrix = placement(landmarks)
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = np.zeros((size, size), bool)
    for left, top, width, height in boxes:
        inside |= (left <= u) & (u <= left + width) & (top <= v) & (v <= top + height)
    return inside


def units_of(emotion: str) -> tuple[int, ...]:
    """Return the action units of an emotion; none for neutral, and for what is none of the seven."""
    return EMOTION_UNITS.get(emotion, ())


def mask_of_units(units: Sequence[int], landmarks: Sequence[Point] | None, size: int) -> Mask:
    """Return where action units are seen in a face's picture, (size, size)."""
    return mask_of([box for unit in units for box in UNITS[unit].boxes], landmarks, size)


def share(heat: Heat, mask: Mask) -> float:
    """Return the share of the heat, (S, S), that lies in a mask; 0 where there is no heat."""
    total = float(heat.sum(dtype=np.float64))
    return float(heat[mask].sum(dtype=np.float64)) / total if total > 0 else 0.0
