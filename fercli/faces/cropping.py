"""Face cropping: always square, aspect ratio kept, optionally aligned."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from fercli.errors import UsageError
from fercli.faces.base import Face
from fercli.images import Color, Pixels, as_color

MARGIN = 0.0
"""Margin added on each of the box's four sides, as a fraction of its side length.

0 by default: on FER2013's own images with a border around them, the boxes of all three detectors have a median side of
0.96 to 1.02 of the image's, so this matches that dataset's framing.
"""
MAX_WARP = 4096


def crop_square(face: Face, margin: float = MARGIN) -> tuple[float, float, float]:
    """Return the centre (x, y) and the side of the square crop around a face, in pixels."""
    left, top, width, height = face.box
    return left + width / 2, top + height / 2, max(width, height) * (1 + 2 * margin)


def eye_angle(face: Face) -> float:
    """Return the angle of the line through the eyes in radians; positive if the eye on the image's right is lower.

    Raises:
        UsageError: the face has no landmarks.
    """
    if face.landmarks is None:
        raise UsageError("a face without landmarks cannot be aligned; use a detector that finds them")
    (x0, y0), (x1, y1) = face.landmarks[:2]
    return math.atan2(y1 - y0, x1 - x0)


def crop_matrix(face: Face, size: int, margin: float = MARGIN, align: bool = False) -> npt.NDArray[np.float64]:
    """Return the (2, 3) affine matrix from the photograph to the crop.

    Coordinates are continuous: (0, 0) is the outer corner of the first pixel, (size, size) that of the crop's last.
    """
    x, y, side = crop_square(face, margin)
    scale = size / side
    if align:
        angle = eye_angle(face)
        a, b = scale * math.cos(angle), scale * math.sin(angle)
    else:  # integers, so that a quarter turn does not blur
        a, b = (scale * factor for factor in ((1, 0), (0, 1), (-1, 0), (0, -1))[face.turn // 90])
    # Rotate about the square's centre, and map it to the crop's centre.
    return np.array([[a, b, size / 2 - a * x - b * y], [-b, a, size / 2 + b * x - a * y]])


def crop_face(
    pixels: Pixels, face: Face, size: int, color: Color, margin: float = MARGIN, align: bool = False
) -> Pixels:
    """Crop a face to `size` x `size`.

    The crop is centred on the box, as wide as the box's longer side plus `margin` on each side. Beyond the photograph's
    edges it is filled by reflection. Downscaled by area averaging, upscaled bilinearly. A face that was detected
    rotated (`Face.turn`) is upright in the crop.

    Args:
        pixels: The photograph, uint8 (H, W) or (H, W, 3) RGB.
        face: A face in it.
        size: Side of the crop in pixels.
        color: gray or rgb.
        margin: Margin on each side, as a fraction of the box's longer side.
        align: Rotate the face about the square's centre so that the eyes are level.

    Raises:
        UsageError: `align` is set and the face has no landmarks.
    """
    _, _, side = crop_square(face, margin)
    # Warp once at about the photograph's own resolution, then average whole blocks: area averaging at any angle.
    blocks = max(1, min(math.ceil(side / size), MAX_WARP // size))
    fine = size * blocks
    inverse = np.asarray(cv2.invertAffineTransform(crop_matrix(face, fine, margin, align)), np.float64)
    left, top, right, bottom = _source_window(inverse, fine, pixels.shape[1], pixels.shape[0])
    region = pixels[top:bottom, left:right]
    # OpenCV's coordinates start at the centre of the first pixel.
    inverse[:, 2] += inverse[:, :2].sum(1) * 0.5 - 0.5 - (left, top)
    warped = cv2.warpAffine(
        np.ascontiguousarray(region), inverse, (fine, fine), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    if blocks > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return as_color(np.asarray(warped, np.uint8), color)


def rotate_upright(pixels: Pixels, degrees: float) -> Pixels:
    """Rotate an image about its centre, keeping its size, so that a line tilted by `degrees` becomes level.

    Pixels from beyond the image's edges are filled by reflection.

    Args:
        pixels: uint8, (H, W) or (H, W, 3).
        degrees: Positive if the line's right end is lower, as in `eye_angle`.
    """
    height, width = pixels.shape[:2]
    # OpenCV's coordinates start at the centre of the first pixel; it rotates counterclockwise.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    rotated = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(rotated, np.uint8)


def _source_window(inverse: npt.NDArray[np.float64], size: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the region of the photograph that a crop needs: left, top, right, bottom; at least one pixel."""
    corners = inverse @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    (left, top), (right, bottom) = np.floor(corners.min(1)) - 2, np.ceil(corners.max(1)) + 2
    left, top = np.clip(left, 0, width - 1), np.clip(top, 0, height - 1)
    return int(left), int(top), int(np.clip(right, left + 1, width)), int(np.clip(bottom, top + 1, height))
