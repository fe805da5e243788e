"""Bringing a picture to the size a detector searches at, and places in it back to the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fercli.images import Pixels

GROUND = 114
"""The grey beside a letterboxed picture, as in the training of the YOLO models."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a photograph became the picture that is searched: (x, y) went to (x * wide + left, y * high + top).

    The two factors differ by what rounding to whole pixels makes of them.
    """

    wide: float
    high: float
    left: int = 0
    top: int = 0

    def back(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return places in the photograph.

        Args:
            points: (..., 2k), x and y in turn, of the picture that is searched.
        """
        pairs = points.reshape(*points.shape[:-1], points.shape[-1] // 2, 2)
        return ((pairs - (self.left, self.top)) / (self.wide, self.high)).reshape(points.shape)


def reduce_to(pixels: Pixels, longest: int) -> tuple[Pixels, Scaling]:
    """Reduce a picture whose longer side is over `longest` pixels to that, by area averaging."""
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels, Scaling(1.0, 1.0)
    return _resized(pixels, longest / max(height, width))


def letterbox(pixels: Pixels, height: int, width: int) -> tuple[Pixels, Scaling]:
    """Fit a picture into `height` x `width`, its aspect ratio kept, in the middle of a grey ground."""
    inner, scaling = _resized(pixels, min(height / pixels.shape[0], width / pixels.shape[1]))
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    canvas = np.full((height, width, *pixels.shape[2:]), GROUND, np.uint8)
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas, Scaling(scaling.wide, scaling.high, left, top)


def _resized(pixels: Pixels, factor: float) -> tuple[Pixels, Scaling]:
    """Resize by a factor, to whole pixels and at least one."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = pixels if size == (width, height) else cv2.resize(pixels, size, interpolation=method)
    return np.asarray(resized, np.uint8), Scaling(size[0] / width, size[1] / height)
