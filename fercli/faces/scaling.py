"""Bringing a picture to the size a detector searches at."""

from __future__ import annotations

import cv2
import numpy as np

from fercli.images import Pixels

GROUND = 114
"""The grey beside a letterboxed picture, as in the training of the YOLO models."""


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


def letterbox(pixels: Pixels, height: int, width: int) -> tuple[Pixels, float, int, int]:
    """Fit a picture into `height` x `width`, its aspect ratio kept, in the middle of a grey ground.

    Returns:
        The picture, the factor it was scaled by, and where its left and top lie: a place (x, y) in the original is
        (scale * x + left, scale * y + top) in it.
    """
    high, wide = pixels.shape[:2]
    scale = min(height / high, width / wide)
    inner = (min(width, max(1, round(wide * scale))), min(height, max(1, round(high * scale))))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.full((height, width, *pixels.shape[2:]), GROUND, np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    resized = pixels if inner == (wide, high) else cv2.resize(pixels, inner, interpolation=method)
    canvas[top : top + inner[1], left : left + inner[0]] = resized
    return canvas, scale, left, top
