"""Bringing a picture to the size a detector searches at."""

from __future__ import annotations

import cv2
import numpy as np

from fercli.images import Pixels


def reduce_to(pixels: Pixels, longest: int) -> tuple[Pixels, float]:
    """Reduce a picture whose longer side is over `longest` pixels to that, by area averaging.

    Returns:
        The picture and the factor by which it shrank: a place in the original is the place in it divided by that.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale == 1.0:
        return pixels, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8), scale
