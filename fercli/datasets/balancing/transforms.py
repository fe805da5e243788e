"""The augmentation of an image: flip, rotation, random-size crop, contrast, brightness.

The Ensembles paper enlarged FER2013 by these (section 6.3.2: random rotations, change in contrast, jitter, random size
crop); the flip is from its training. It does not give their ranges. Ours are wide enough that no child is a near copy
of its parent, and narrow enough that a face keeps its expression.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from fercli.images import Pixels

UNIFORMS = 7
"""Random numbers for one child."""

ROTATION = 15.0
"""Maximum rotation in either direction, degrees."""
CROP = 0.8
"""Minimum side of the crop, as a share of the image's side."""
CONTRAST = 0.3
"""Maximum relative change of contrast in either direction."""
BRIGHTNESS = 30.0
"""Maximum change of brightness in either direction, of 255."""


def augment(pixels: Pixels, uniforms: npt.NDArray[np.float64]) -> Pixels:
    """Return an altered copy of an image.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        uniforms: (7,) in 0..1: flip, angle, size of the crop, its horizontal and vertical position, contrast,
            brightness. The result depends on nothing else.

    Returns:
        An image of the same shape. Beyond the edges the image is mirrored.
    """
    flip, angle, size, across, down, contrast, brightness = uniforms.tolist()
    height, width = pixels.shape[:2]
    matrix = _matrix(flip < 0.5, ROTATION * _signed(angle), CROP + (1 - CROP) * size, across, down, width, height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(pixels, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    curve = _curve(float(warped.mean()), 1 + CONTRAST * _signed(contrast), BRIGHTNESS * _signed(brightness))
    altered: Pixels = np.asarray(cv2.LUT(warped, curve), np.uint8)
    return altered


def _signed(uniform: float) -> float:
    return 2 * uniform - 1


def _matrix(
    flip: bool, degrees: float, size: float, across: float, down: float, width: int, height: int
) -> npt.NDArray[np.float64]:
    """Return the (2, 3) map from pixels of the result to pixels of the image: flip, rotation and zoom about the crop.

    The crop has `size` times the image's sides and lies within it; `across` and `down` (0..1) give its position.
    """
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    crop_x = middle_x + (1 - size) * width * (across - 0.5)
    crop_y = middle_y + (1 - size) * height * (down - 0.5)
    cosine, sine = size * math.cos(math.radians(degrees)), size * math.sin(math.radians(degrees))
    mirror = -1.0 if flip else 1.0
    rotation = np.array([[mirror * cosine, -sine], [mirror * sine, cosine]])
    return np.column_stack([rotation, np.array([crop_x, crop_y]) - rotation @ np.array([middle_x, middle_y])])


def _curve(mean: float, contrast: float, brightness: float) -> Pixels:
    """Return a lookup table of pixel values, (256,): contrast about the image's mean, then brightness."""
    values = mean + contrast * (np.arange(256) - mean) + brightness
    curve: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return curve
