"""The changes that make a new image of an old one: flip, rotation, crop of random size, contrast, jitter.

They are those by which the Ensembles paper enlarged FER2013 (section 6.3.2: random rotations, change in contrast,
jitter, random size crop) and the flip of its training; how far each goes is our choice, since the paper does not tell:
far enough that no child is its parent's twin, not so far that a face loses its expression.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from fercli.images import Pixels

DRAWS = 7
"""Numbers drawn at random for one child."""

ROTATION = 15.0
"""Largest turn either way, degrees."""
CROP = 0.8
"""Smallest side of the crop, as a share of the image's."""
CONTRAST = 0.3
"""Largest change of contrast either way, as a share."""
BRIGHTNESS = 30.0
"""Largest change of brightness either way, of 255."""


def augment(pixels: Pixels, draws: npt.NDArray[np.float64]) -> Pixels:
    """Return a changed copy of an image.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        draws: (7,) in 0..1: flip, angle, size of the crop, its place across and down, contrast, brightness. The image
            depends on nothing else.

    Returns:
        The same shape. What a turn brings in from outside is the image mirrored at its edge.
    """
    flip, angle, size, across, down, contrast, brightness = draws.tolist()
    height, width = pixels.shape[:2]
    matrix = _matrix(flip < 0.5, ROTATION * _signed(angle), CROP + (1 - CROP) * size, across, down, width, height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    curve = _curve(float(moved.mean()), 1 + CONTRAST * _signed(contrast), BRIGHTNESS * _signed(brightness))
    changed: Pixels = np.asarray(cv2.LUT(moved, curve), np.uint8)
    return changed


def _signed(uniform: float) -> float:
    return 2 * uniform - 1


def _matrix(
    flip: bool, degrees: float, size: float, across: float, down: float, width: int, height: int
) -> npt.NDArray[np.float64]:
    """Return the map from the result's pixels to the image's, (2, 3): flip, turn and enlarge about a crop's middle.

    The crop is `size` of the image each way and lies within it, at the share `across` and `down` of the way it can go.
    """
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    crop_x = middle_x + (1 - size) * width * (across - 0.5)
    crop_y = middle_y + (1 - size) * height * (down - 0.5)
    cosine, sine = size * math.cos(math.radians(degrees)), size * math.sin(math.radians(degrees))
    mirror = -1.0 if flip else 1.0
    turn = np.array([[mirror * cosine, -sine], [mirror * sine, cosine]])
    return np.column_stack([turn, np.array([crop_x, crop_y]) - turn @ np.array([middle_x, middle_y])])


def _curve(mean: float, contrast: float, brightness: float) -> Pixels:
    """Return the new value of each old one, (256,): spread about the image's mean, then lighter or darker."""
    values = mean + contrast * (np.arange(256) - mean) + brightness
    curve: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return curve
