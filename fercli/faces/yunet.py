"""YuNet (Wu et al., Machine Intelligence Research 2023), through OpenCV's FaceDetectorYN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from fercli.errors import DataError
from fercli.faces.base import Face, clip_to_image, to_points, xyxy_to_xywh
from fercli.faces.scaling import Scaling, reduce_to
from fercli.files import read_bytes
from fercli.images import Color, Pixels, as_color

MIN_SIDE, MAX_SIDE = 320, 640
"""Images are halved in size, but to at least 320 pixels (or their own size) and at most 640. This still finds faces of
24 pixels, since the network was trained on faces of 10 to 300, in a quarter of the time."""
MIN_SCORE = 0.7
MAX_IOU = 0.3


class YuNet:
    """A small convolutional network that finds faces in any pose, with five landmarks.

    Args:
        weights: The published ONNX file.

    Raises:
        DataError: the file is not YuNet's.
    """

    name = "yunet"
    landmarks = True
    color: Color = "rgb"
    tile, min_face = 1280, 16

    def __init__(self, weights: Path) -> None:
        data = np.frombuffer(read_bytes(weights), np.uint8)
        none = np.empty(0, np.uint8)
        try:
            with _silent():
                self._net = cv2.FaceDetectorYN.create("onnx", data, none, (64, 64), MIN_SCORE, MAX_IOU)
                self._net.detect(np.zeros((64, 64, 3), np.uint8))  # other networks only fail here
        except cv2.error as error:
            raise DataError(f"{weights}: not YuNet's ONNX file; see fer weights") from error

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, largest first. Scores are in 0..1."""
        height, width = pixels.shape[:2]
        small, scaling = reduce_to(as_color(pixels, "rgb"), self.default_side(height, width))
        return clip_to_image(self._faces(small, scaling), height, width)

    def default_side(self, height: int, width: int) -> int:
        """Return the longest side to which `detect` resizes an image of this size."""
        longest = max(height, width)
        return min(longest, MAX_SIDE, max(MIN_SIDE, longest // 2))

    def detect_unscaled(self, pixels: Pixels) -> list[Face]:
        """Return the faces in an image, without resizing it."""
        return clip_to_image(self._faces(as_color(pixels, "rgb"), Scaling(1.0, 1.0)), *pixels.shape[:2])

    def _faces(self, small: Pixels, scaling: Scaling) -> list[Face]:
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._net.detect(np.ascontiguousarray(small[..., ::-1]))
        # Box, five landmarks (the person's right eye, on the image's left, first), score.
        found = []
        for row in np.empty((0, 15)) if rows is None else rows.astype(np.float64):
            if np.isfinite(row).all():
                row[2:4] += row[:2]
                found.append(
                    Face(xyxy_to_xywh(scaling.invert(row[:4])), float(row[14]), to_points(scaling.invert(row[4:14])))
                )
        return found


@contextmanager
def _silent() -> Iterator[None]:
    """Keep OpenCV's messages off stderr; ours is one line."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
