"""OpenCV's Haar cascade (Viola and Jones, CVPR 2001; Lienhart and Maydt, ICIP 2002), which needs no weights file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fercli.errors import FerError
from fercli.faces.base import Face, clip_to_image, xyxy_to_xywh
from fercli.faces.nms import nms
from fercli.faces.scaling import Scaling, reduce_to
from fercli.images import Color, Pixels, as_color

CASCADE = "haarcascade_frontalface_default.xml"
MAX_SIDE = 1024
"""Larger images are resized to this longest side by default."""
WINDOW = 24
"""Side of the cascade's window: smaller faces cannot be found."""
MIN_FACE = 32
"""In images of ordinary size, smaller faces are skipped: they would take most of the time and give mostly false
positives."""
SCALE_FACTOR, MIN_NEIGHBORS = 1.1, 5
"""Five windows must agree on a face. 1.2 and 2 take 0.6 of the time, but find fewer of FER2013's faces (77 % instead of
78 %) and mistake some flowers for faces."""
MAX_IOU = 0.3
MIN_SCORE = 1.0
"""99 % of the faces found in FER2013 score higher; buttons and leaves mostly score lower."""


class Haar:
    """OpenCV's frontal face cascade. It finds no landmarks, and no profile faces."""

    name = "haar"
    landmarks = False
    color: Color = "gray"
    tile, min_face = 1280, MIN_FACE

    def __init__(self) -> None:
        folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
        # OpenCV 5 has neither the class nor its cascades.
        if not hasattr(cv2, "CascadeClassifier") or not Path(folder, CASCADE).is_file():
            raise FerError(f"haar: OpenCV {cv2.__version__} has no cascades; install 'opencv-python>=4.10,<5'")
        self._cascade = cv2.CascadeClassifier(str(Path(folder, CASCADE)))

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, largest first. The score is the last stage's sum."""
        height, width = pixels.shape[:2]
        small, scaling = reduce_to(as_color(pixels, "gray"), MAX_SIDE)
        return clip_to_image(self._faces(small, scaling), height, width)

    def default_side(self, height: int, width: int) -> int:
        """Return the longest side to which `detect` resizes an image of this size."""
        return min(MAX_SIDE, max(height, width))

    def detect_unscaled(self, pixels: Pixels) -> list[Face]:
        """Return the faces in an image, without resizing it."""
        return clip_to_image(self._faces(as_color(pixels, "gray"), Scaling(1.0, 1.0)), *pixels.shape[:2])

    def _faces(self, small: Pixels, scaling: Scaling) -> list[Face]:
        shorter = min(small.shape)
        min_size = max(WINDOW, min(MIN_FACE, shorter // 8))
        if shorter < min_size:
            return []
        rects, _, sums = self._cascade.detectMultiScale3(
            small,
            scaleFactor=SCALE_FACTOR,
            minNeighbors=MIN_NEIGHBORS,
            minSize=(min_size, min_size),
            outputRejectLevels=True,
        )
        boxes, scores = np.array(rects, np.float64).reshape(-1, 4), np.array(sums, np.float64).reshape(-1)
        # It often finds a face twice, with slightly different boxes.
        kept = [k for k in nms(boxes, scores, MAX_IOU) if scores[k] >= MIN_SCORE]
        boxes[:, 2:] += boxes[:, :2]
        return [Face(xyxy_to_xywh(scaling.invert(boxes[k])), float(scores[k])) for k in kept]
