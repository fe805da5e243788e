"""Faces, and the detector protocol."""

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
    """One face in an image. Coordinates are in pixels; (0, 0) is the outer corner of the first pixel.

    Attributes:
        box: Left, top, width, height.
        score: Confidence on the detector's own scale; higher is more confident.
        landmarks: Five points (x, y), sides as seen in the image: left eye, right eye, nose tip, left and right
            mouth corner; or the two eyes only. None if the detector finds none.
        turn: Clockwise rotation of the face in the image in degrees: 0, 90, 180 or 270.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] | None = None
    turn: int = 0


class Detector(Protocol):
    """Detects faces. An instance is used by one thread at a time.

    Attributes:
        name: Its name for `--detector`.
        landmarks: Whether its faces have landmarks, at least the eyes.
    """

    name: str
    landmarks: bool

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces in an image, largest first.

        Args:
            pixels: uint8, (H, W) or (H, W, 3) RGB.
        """
        ...


def clip_to_image(faces: list[Face], height: int, width: int) -> list[Face]:
    """Clip boxes to the image, drop faces outside it, and sort the rest, largest first.

    Ties are broken by position, so that the order never depends on the detector's.
    """
    kept = []
    for face in faces:
        left, top, wide, high = face.box
        right, bottom = min(left + wide, float(width)), min(top + high, float(height))
        left, top = max(left, 0.0), max(top, 0.0)
        if right - left >= 1 and bottom - top >= 1:
            kept.append(replace(face, box=(left, top, right - left, bottom - top)))
    return sorted(kept, key=lambda f: (-f.box[2] * f.box[3], f.box, -f.score))


def xyxy_to_xywh(corners: npt.NDArray[np.floating[Any]]) -> Box:
    """Convert left, top, right, bottom to a box."""
    left, top, right, bottom = (float(value) for value in corners)
    return left, top, right - left, bottom - top


def to_points(values: npt.NDArray[np.floating[Any]]) -> tuple[Point, ...]:
    """Convert x, y, x, y, … to points."""
    return tuple((float(x), float(y)) for x, y in values.reshape(-1, 2))
