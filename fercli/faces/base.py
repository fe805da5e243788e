"""What a face is, and what a detector does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fercli.images import Pixels

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """One face in a picture. Coordinates are in pixels, (0, 0) being the outer corner of the first pixel.

    Attributes:
        box: Left, top, width, height.
        score: The detector's own; higher is surer.
        landmarks: Five (x, y) as seen in the picture: left eye, right eye, tip of the nose, left and right corner of
            the mouth; or the two eyes alone. None where the detector finds none.
        turn: Degrees by which the face was turned with the clock where it was found, 0, 90, 180 or 270.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] | None = None
    turn: int = 0


class Detector(Protocol):
    """Finds faces. One object serves one thread at a time.

    Attributes:
        name: What `--detector` calls it.
        landmarks: Whether its faces come with landmarks, the eyes at least.
    """

    name: str
    landmarks: bool

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces of a picture, the largest first.

        Args:
            pixels: uint8, (H, W) or (H, W, 3) RGB.
        """
        ...


def in_picture(faces: list[Face], height: int, width: int) -> list[Face]:
    """Return faces with their boxes cut at the picture's edges, the largest first, and those outside it left out.

    Equal sizes go by place, so that the order never depends on the detector's own.
    """
    kept = []
    for face in faces:
        left, top, wide, high = face.box
        right, bottom = min(left + wide, float(width)), min(top + high, float(height))
        left, top = max(left, 0.0), max(top, 0.0)
        if right - left >= 1 and bottom - top >= 1:
            kept.append(replace(face, box=(left, top, right - left, bottom - top)))
    return sorted(kept, key=lambda f: (-f.box[2] * f.box[3], f.box, -f.score))


def xyxy_to_xywh(ends: npt.NDArray[np.floating[Any]]) -> Box:
    """Return left, top, right, bottom as a box."""
    left, top, right, bottom = (float(value) for value in ends)
    return left, top, right - left, bottom - top


def pairs(values: npt.NDArray[np.floating[Any]]) -> tuple[Point, ...]:
    """Return x, y, x, y, … as points."""
    return tuple((float(x), float(y)) for x, y in values.reshape(-1, 2))
