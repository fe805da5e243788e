"""Resizing images for detectors, and mapping coordinates back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fercli.images import Pixels

FILL = 114
"""Grey level of the letterbox padding, as in the training of the YOLO models."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """The mapping from a photograph to the detector's input: (x, y) to (x * scale_x + left, y * scale_y + top).

    The two factors differ only because sizes are rounded to whole pixels.
    """

    scale_x: float
    scale_y: float
    left: int = 0
    top: int = 0

    def invert(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map coordinates in the detector's input back to the photograph.

        Args:
            points: (..., 2k), alternating x and y.
        """
        pairs = points.reshape(*points.shape[:-1], points.shape[-1] // 2, 2)
        return ((pairs - (self.left, self.top)) / (self.scale_x, self.scale_y)).reshape(points.shape)


def reduce_to(pixels: Pixels, longest: int) -> tuple[Pixels, Scaling]:
    """Downscale an image whose longer side exceeds `longest` pixels to that, by area averaging."""
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels, Scaling(1.0, 1.0)
    return _resized(pixels, longest / max(height, width))


def letterbox(pixels: Pixels, height: int, width: int) -> tuple[Pixels, Scaling]:
    """Resize an image to fit into `height` x `width`, keeping its aspect ratio, centred on a grey background."""
    inner, scaling = _resized(pixels, min(height / pixels.shape[0], width / pixels.shape[1]))
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    canvas = np.full((height, width, *pixels.shape[2:]), FILL, np.uint8)
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas, Scaling(scaling.scale_x, scaling.scale_y, left, top)


def _resized(pixels: Pixels, factor: float) -> tuple[Pixels, Scaling]:
    """Resize by a factor, to whole pixels, at least one."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = pixels if size == (width, height) else cv2.resize(pixels, size, interpolation=method)
    return np.asarray(resized, np.uint8), Scaling(size[0] / width, size[1] / height)
