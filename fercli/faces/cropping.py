"""Cutting a face out of a photograph: always a square, its aspect ratio kept, turned upright on request."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from fercli.errors import UsageError
from fercli.faces.base import Face
from fercli.images import Color, Pixels, as_color

MARGIN = 0.0
"""Share of the box's side that is added on each of its four sides.

None by default: on FER2013's own pictures, with a border around them, the boxes of all three detectors have a median
side of 0.96 to 1.02 of the picture's, so this is that dataset's framing.
"""
_LARGEST = 4096


def square(face: Face, margin: float = MARGIN) -> tuple[float, float, float]:
    """Return the centre (x, y) and the side of the square that is cut out around a face, pixels."""
    left, top, width, height = face.box
    return left + width / 2, top + height / 2, max(width, height) * (1 + 2 * margin)


def eye_angle(face: Face) -> float:
    """Return the angle of the line through the eyes, radians; positive where the picture's right eye is lower.

    Raises:
        UsageError: the face has no landmarks.
    """
    if face.landmarks is None:
        raise UsageError("a face without landmarks cannot be aligned; take a detector that finds them")
    (x0, y0), (x1, y1) = face.landmarks[:2]
    return math.atan2(y1 - y0, x1 - x0)


def crop_matrix(face: Face, size: int, margin: float = MARGIN, align: bool = False) -> npt.NDArray[np.float64]:
    """Return the (2, 3) matrix that takes a place in the photograph to its place in the crop.

    Places are continuous: (0, 0) is the outer corner of the first pixel, (size, size) that of the crop's last.
    """
    x, y, side = square(face, margin)
    scale = size / side
    if align:
        angle = eye_angle(face)
        a, b = scale * math.cos(angle), scale * math.sin(angle)
    else:  # whole numbers, so that a quarter turn costs no sharpness
        a, b = (scale * factor for factor in ((1, 0), (0, 1), (-1, 0), (0, -1))[face.turn // 90])
    # Turned about the square's centre, which comes to lie in the crop's.
    return np.array([[a, b, size / 2 - a * x - b * y], [-b, a, size / 2 + b * x - a * y]])


def crop_face(
    pixels: Pixels, face: Face, size: int, color: Color, margin: float = MARGIN, align: bool = False
) -> Pixels:
    """Cut a face out as a square of `size` x `size`.

    The square goes around the box's centre, as wide as the box's longer side and `margin` more on each side. What lies
    beyond the photograph is filled with its mirror image. Reduced by area averaging, enlarged bilinearly. A face
    that was found turned (`Face.turn`) stands upright in it.

    Args:
        pixels: The photograph, uint8 (H, W) or (H, W, 3) RGB.
        face: A face in it.
        size: Side of the crop, pixels.
        color: gray or rgb.
        margin: Share of the side that is added on each side.
        align: Turn the face so that its eyes are level, about the square's centre.

    Raises:
        UsageError: `align` is set and the face has no landmarks.
    """
    _, _, side = square(face, margin)
    # One warp at about the photograph's own resolution, then the average of whole blocks: area averaging at any angle.
    blocks = max(1, min(math.ceil(side / size), _LARGEST // size))
    fine = size * blocks
    back = np.asarray(cv2.invertAffineTransform(crop_matrix(face, fine, margin, align)), np.float64)
    left, top, right, bottom = _within(back, fine, pixels.shape[1], pixels.shape[0])
    part = pixels[top:bottom, left:right]
    # OpenCV counts from the centres of pixels.
    back[:, 2] += back[:, :2].sum(1) * 0.5 - 0.5 - (left, top)
    warped = cv2.warpAffine(
        np.ascontiguousarray(part), back, (fine, fine), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    if blocks > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return as_color(np.asarray(warped, np.uint8), color)


def rotate_upright(pixels: Pixels, degrees: float) -> Pixels:
    """Turn a picture about its centre, its size kept, so that a line tilted by `degrees` becomes level.

    What comes from beyond the picture is filled with its mirror image.

    Args:
        pixels: uint8, (H, W) or (H, W, 3).
        degrees: As `tilt` has them: positive where the line's right end is lower.
    """
    height, width = pixels.shape[:2]
    # OpenCV counts from the centres of pixels, and turns against the clock.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    turned = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.uint8)


def _within(back: npt.NDArray[np.float64], size: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of the photograph that a crop needs: left, top, right, bottom, at least one pixel of it."""
    corners = back @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    (left, top), (right, bottom) = np.floor(corners.min(1)) - 2, np.ceil(corners.max(1)) + 2
    left, top = np.clip(left, 0, width - 1), np.clip(top, 0, height - 1)
    return int(left), int(top), int(np.clip(right, left + 1, width)), int(np.clip(bottom, top + 1, height))
