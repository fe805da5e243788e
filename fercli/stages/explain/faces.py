"""The faces of a picture: found in a photograph, or the picture itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fercli.errors import ImageError
from fercli.faces.base import Box, Detector, Face, Point
from fercli.faces.cropping import crop_face, crop_matrix
from fercli.faces.detectors import choose_detector, create_detector
from fercli.faces.tiling import Search, with_search
from fercli.images import Pixels, fit_square
from fercli.stages.explain.config import ExplainConfig
from fercli.stages.explain.ground_truth import Truth
from fercli.stages.explain.sources import Picture

SMALL = 64
"""A picture of no longer side is a face: nothing to be found in it would be worth looking at."""
SQUARE = 256
"""A square picture of at most this side is a face, as all published sets of faces cut out are."""
CROP = 224
"""Faces are cut out of photographs with at least this side, for the pictures; the model takes them at its own."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A face to be explained.

    Attributes:
        picture: Where it comes from.
        pixels: The face, a square, uint8 (S, S) or (S, S, 3).
        box: Left, top, width and height of it in the picture, pixels; None where the picture is the face.
        landmarks: Five (x, y) as shares of the square, in the order of `Face`; None where not all are known.
    """

    picture: Picture
    pixels: Pixels
    box: Box | None = None
    landmarks: tuple[Point, ...] | None = None


class FaceLocator:
    """Finds the faces of pictures; the detector is made when the first photograph comes.

    Args:
        config: Says what pictures are taken for, and the detector.
        input_size: The model's.
        smallest: Side of the smallest face that is not to be passed over: of those the model was trained on. None: what
            the detector finds at its usual size.
    """

    def __init__(self, config: ExplainConfig, input_size: int, smallest: int | None = None) -> None:
        self._config = config
        self._size = max(CROP, input_size)
        self._search = Search(config.search_size, smallest, config.turns)
        self._detector: Detector | None = None
        self._truth = Truth()

    def find(self, picture: Picture) -> list[Subject]:
        """Return a picture's faces, the largest first.

        Raises:
            ImageError: it cannot be read, or shows no face.
        """
        pixels = picture.read()
        if self._is_face(picture, pixels):
            return [Subject(picture, fit_square(pixels, max(pixels.shape[:2])))]
        if self._detector is None:
            name = choose_detector(self._config.detector, self._config.weights)
            self._detector = with_search(create_detector(name, self._config.weights), self._search)
        faces = self._detector.detect(pixels)
        if not faces:
            raise ImageError(
                "no face", f"{picture.path}: {self._detector.name} finds no face; for a face cut out say --faces crop"
            )
        return [self._cut(picture, pixels, face) for face in faces]

    def _is_face(self, picture: Picture, pixels: Pixels) -> bool:
        if self._config.faces != "auto":
            return self._config.faces == "crop"
        height, width = pixels.shape[:2]
        return picture.face or max(height, width) <= SMALL or height == width <= SQUARE

    def _cut(self, picture: Picture, pixels: Pixels, face: Face) -> Subject:
        cut = crop_face(pixels, face, self._size, "gray" if pixels.ndim == 2 else "rgb")
        landmarks = self._truth.landmarks(picture.file, face) or face.landmarks
        landmarks = (
            landmarks if landmarks is not None and len(landmarks) == 5 else None
        )  # the eyes alone say too little
        if landmarks is not None:
            matrix = crop_matrix(face, 1)
            placed = np.asarray(landmarks) @ matrix[:, :2].T + matrix[:, 2]
            landmarks = tuple((float(x), float(y)) for x, y in placed)
        return Subject(picture, cut, face.box, landmarks)
