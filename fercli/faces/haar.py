"""OpenCV's Haar cascade (Viola and Jones, CVPR 2001; Lienhart and Maydt, ICIP 2002): no weights to fetch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fercli.errors import FerError
from fercli.faces.base import Face, in_picture, xyxy_to_xywh
from fercli.faces.nms import nms
from fercli.faces.scaling import Scaling, reduce_to
from fercli.images import Color, Pixels, as_color

CASCADE = "haarcascade_frontalface_default.xml"
LONGEST = 1024
"""A larger picture is searched at this size, if nothing else is asked for."""
SMALLEST = 24
"""The side of the cascade's window: a smaller face cannot be found."""
USUAL = 32
"""In pictures of usual size faces below this are passed over: most of the time would go there, and most of what is
found is no face."""
STEP, NEIGHBOURS = 1.1, 5
"""Scales by a tenth, and a face wherever five windows agree. With 1.2 and 2 it takes 0.6 of the time, finds fewer of
FER2013's faces (77 % instead of 78 %), and takes flowers for some."""
OVERLAP = 0.3
SCORE = 1.0
"""On FER2013 99 % of the faces that are found score more; buttons and leaves mostly score less."""


class Haar:
    """The frontal face cascade that comes with OpenCV. It finds no landmarks, and no faces turned far aside."""

    name = "haar"
    landmarks = False
    color: Color = "gray"
    tile, reach = 1280, USUAL

    def __init__(self) -> None:
        folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
        # OpenCV 5 has neither the class nor its cascades.
        if not hasattr(cv2, "CascadeClassifier") or not Path(folder, CASCADE).is_file():
            raise FerError(f"haar: OpenCV {cv2.__version__} has no cascades; install 'opencv-python>=4.10,<5'")
        self._cascade = cv2.CascadeClassifier(str(Path(folder, CASCADE)))

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, the largest first. The score is the last stage's sum."""
        height, width = pixels.shape[:2]
        small, scaling = reduce_to(as_color(pixels, "gray"), LONGEST)
        return in_picture(self._faces(small, scaling), height, width)

    def usual(self, height: int, width: int) -> int:
        """Return the longest side at which `detect` searches."""
        return min(LONGEST, max(height, width))

    def find(self, pixels: Pixels) -> list[Face]:
        """Return the faces of a picture searched at its own size."""
        return in_picture(self._faces(as_color(pixels, "gray"), Scaling(1.0, 1.0)), *pixels.shape[:2])

    def _faces(self, small: Pixels, scaling: Scaling) -> list[Face]:
        shorter = min(small.shape)
        least = max(SMALLEST, min(USUAL, shorter // 8))
        if shorter < least:
            return []
        rects, _, sums = self._cascade.detectMultiScale3(
            small, scaleFactor=STEP, minNeighbors=NEIGHBOURS, minSize=(least, least), outputRejectLevels=True
        )
        boxes, scores = np.array(rects, np.float64).reshape(-1, 4), np.array(sums, np.float64).reshape(-1)
        # It often finds one face twice, the boxes a little apart.
        kept = [k for k in nms(boxes, scores, OVERLAP) if scores[k] >= SCORE]
        boxes[:, 2:] += boxes[:, :2]
        return [Face(xyxy_to_xywh(scaling.back(boxes[k])), float(scores[k])) for k in kept]
