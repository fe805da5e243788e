"""OpenCV's Haar cascade (Viola and Jones, CVPR 2001; Lienhart and Maydt, ICIP 2002): no weights to fetch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fercli.errors import FerError
from fercli.faces.base import Face, box_of, in_picture
from fercli.faces.overlap import keep_surest
from fercli.faces.scaling import reduce_to
from fercli.images import Pixels, as_color

CASCADE = "haarcascade_frontalface_default.xml"
LONGEST = 1024
"""A larger picture is searched at this size: a face that is lost by it has few pixels to tell an emotion from."""
SMALLEST = 24
"""The side of the cascade's window: a smaller face cannot be found."""
USUAL = 32
"""In pictures of usual size faces below this are passed over, like those of less than a `SHARE`th of the shorter side:
they have few pixels to tell an emotion from, and most of the time would go there."""
SHARE = 20
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
        shorter = min(small.shape)
        least = max(SMALLEST, min(USUAL, shorter // 8), shorter // SHARE)
        if shorter < least:
            return []
        rects, _, sums = self._cascade.detectMultiScale3(
            small, scaleFactor=STEP, minNeighbors=NEIGHBOURS, minSize=(least, least), outputRejectLevels=True
        )
        boxes, scores = np.array(rects, np.float64).reshape(-1, 4), np.array(sums, np.float64).reshape(-1)
        # It often finds one face twice, the boxes a little apart.
        kept = [k for k in keep_surest(boxes, scores, OVERLAP) if scores[k] >= SCORE]
        boxes[:, 2:] += boxes[:, :2]
        found = [Face(box_of(scaling.back(boxes[k])), float(scores[k])) for k in kept]
        return in_picture(found, height, width)
