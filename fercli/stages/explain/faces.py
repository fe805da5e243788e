"""Faces of a picture: detected in a photograph, or the picture itself."""

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
from fercli.stages.explain.ground_truth import GroundTruth
from fercli.stages.explain.sources import Picture

SMALL = 64
"""A picture whose longer side is at most this is a face: any face within it would be too small to use."""
SQUARE = 256
"""A square picture of at most this side is a face, as in all published datasets of cropped faces."""
CROP = 224
"""Minimum side of the crops from photographs, for the overlays; the model resizes them to its input size."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A face to explain.

    Attributes:
        picture: Its source.
        pixels: The square crop, uint8 (S, S) or (S, S, 3).
        box: Bounding box in the picture (left, top, width, height), pixels; None if the picture is the face.
        landmarks: Five (x, y) relative to the crop, in the order of `Face`; None if any is unknown.
    """

    picture: Picture
    pixels: Pixels
    box: Box | None = None
    landmarks: tuple[Point, ...] | None = None


class FaceLocator:
    """Finds the faces of pictures; the detector is created at the first photograph.

    Args:
        config: Content of the pictures, and the detector.
        input_size: The model's input size.
        smallest: Side of the smallest face to detect, pixels: the size of the training faces. None: whatever the
            detector finds at its default size.
    """

    def __init__(self, config: ExplainConfig, input_size: int, smallest: int | None = None) -> None:
        self._config = config
        self._size = max(CROP, input_size)
        self._search = Search(config.search_size, smallest, config.turns)
        self._detector: Detector | None = None
        self._ground_truth = GroundTruth()

    def find(self, picture: Picture) -> list[Subject]:
        """Return the faces of a picture, largest first.

        Raises:
            ImageError: it cannot be read, or no face is detected.
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
                "no face",
                f"{picture.path}: {self._detector.name} detects no face; for a cropped face use --faces crop",
            )
        return [self._crop(picture, pixels, face) for face in faces]

    def _is_face(self, picture: Picture, pixels: Pixels) -> bool:
        if self._config.faces != "auto":
            return self._config.faces == "crop"
        height, width = pixels.shape[:2]
        return picture.face or max(height, width) <= SMALL or height == width <= SQUARE

    def _crop(self, picture: Picture, pixels: Pixels, face: Face) -> Subject:
        crop = crop_face(pixels, face, self._size, "gray" if pixels.ndim == 2 else "rgb")
        landmarks = self._ground_truth.landmarks(picture.file, face) or face.landmarks
        if landmarks is None or len(landmarks) != 5:  # the eyes alone are not enough
            return Subject(picture, crop, face.box)
        matrix = crop_matrix(face, 1)
        relative = np.asarray(landmarks) @ matrix[:, :2].T + matrix[:, 2]
        return Subject(picture, crop, face.box, tuple((float(x), float(y)) for x, y in relative))
