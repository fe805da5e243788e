"""YuNet (Wu et al., Machine Intelligence Research 2023), through OpenCV's FaceDetectorYN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from fercli.errors import DataError
from fercli.faces.base import Face, in_picture, pairs, xyxy_to_xywh
from fercli.faces.scaling import Scaling, reduce_to
from fercli.files import read_bytes
from fercli.images import Color, Pixels, as_color

SHORT, LONG = 320, 640
"""A picture is searched at half its size, but no less than 320 pixels (or its own) and no more than 640. That finds
faces of 24 pixels, since the network was trained on those of 10 to 300, in a quarter of the time."""
SCORE = 0.7
OVERLAP = 0.3


class YuNet:
    """A small convolutional network that finds faces of any turn, with five landmarks.

    Args:
        weights: The published ONNX file.

    Raises:
        DataError: the file is something else.
    """

    name = "yunet"
    landmarks = True
    color: Color = "rgb"
    tile, reach = 1280, 16

    def __init__(self, weights: Path) -> None:
        data = np.frombuffer(read_bytes(weights), np.uint8)
        none = np.empty(0, np.uint8)
        try:
            with _silent():
                self._net = cv2.FaceDetectorYN.create("onnx", data, none, (64, 64), SCORE, OVERLAP)
                self._net.detect(np.zeros((64, 64, 3), np.uint8))  # other networks fail here only
        except cv2.error as error:
            raise DataError(f"{weights}: not YuNet's ONNX file; see fer weights") from error

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, the largest first. The score is in 0..1."""
        height, width = pixels.shape[:2]
        small, scaling = reduce_to(as_color(pixels, "rgb"), self.usual(height, width))
        return in_picture(self._faces(small, scaling), height, width)

    def usual(self, height: int, width: int) -> int:
        """Return the longest side at which `detect` searches."""
        longest = max(height, width)
        return min(longest, LONG, max(SHORT, longest // 2))

    def find(self, pixels: Pixels) -> list[Face]:
        """Return the faces of a picture searched at its own size."""
        return in_picture(self._faces(as_color(pixels, "rgb"), Scaling(1.0, 1.0)), *pixels.shape[:2])

    def _faces(self, small: Pixels, scaling: Scaling) -> list[Face]:
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._net.detect(np.ascontiguousarray(small[..., ::-1]))
        # Box, five landmarks (the person's right eye, which is the picture's left one, first), score.
        found = []
        for row in np.empty((0, 15)) if rows is None else rows.astype(np.float64):
            if np.isfinite(row).all():
                row[2:4] += row[:2]
                found.append(Face(xyxy_to_xywh(scaling.back(row[:4])), float(row[14]), pairs(scaling.back(row[4:14]))))
        return found


@contextmanager
def _silent() -> Iterator[None]:
    """Keep OpenCV from writing on stderr what is told in one line of ours."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
