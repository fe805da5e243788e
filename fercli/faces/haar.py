"""OpenCV's Haar cascade (Viola and Jones, CVPR 2001; Lienhart and Maydt, ICIP 2002): no weights to fetch."""

from __future__ import annotations

from pathlib import Path

import cv2

from fercli.errors import FerError
from fercli.faces.base import Face, in_picture
from fercli.faces.scaling import reduce_to
from fercli.images import Pixels, as_color

CASCADE = "haarcascade_frontalface_default.xml"
LONGEST = 1024
"""A larger picture is searched at this size: a face that is lost by it has few pixels to tell an emotion from."""
SMALLEST = 24
"""The side of the cascade's window: a smaller face cannot be found."""


class Haar:
    """The frontal face cascade that comes with OpenCV. It finds no landmarks, and no faces turned far aside."""

    name = "haar"

    def __init__(self) -> None:
        folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
        # OpenCV 5 has neither the class nor its cascades.
        if not hasattr(cv2, "CascadeClassifier") or not Path(folder, CASCADE).is_file():
            raise FerError(f"haar: OpenCV {cv2.__version__} has no cascades; install 'opencv-python>=4.10,<5'")
        self._cascade = cv2.CascadeClassifier(str(Path(folder, CASCADE)))

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, the largest first. The score is the last stage's sum."""
        height, width = pixels.shape[:2]
        small, scale = reduce_to(as_color(pixels, "gray"), LONGEST)
        if min(small.shape[:2]) < SMALLEST:
            return []
        boxes, _, scores = self._cascade.detectMultiScale3(
            small, scaleFactor=1.1, minNeighbors=5, minSize=(SMALLEST, SMALLEST), outputRejectLevels=True
        )
        found = []
        for (left, top, wide, high), score in zip(boxes, scores, strict=True):
            box = (float(left) / scale, float(top) / scale, float(wide) / scale, float(high) / scale)
            found.append(Face(box, float(score)))
        return in_picture(found, height, width)
