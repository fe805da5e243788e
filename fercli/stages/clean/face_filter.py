"""Finding images without a face, and the tilt of faces (Ensembles paper, section 6.3.1: fer2013.f, fer2013.f.a).

The paper filters and aligns FER2013 with DeepFace, but states neither the detector, nor a size, nor the number of
removed images. Upscaling and the second pass with a border are ours, based on measurements on FER2013: a 48-pixel face
that fills the image is small for a detector, and has no background around it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from fercli.artifacts import Input, input_of
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import Row, count, emotions_of
from fercli.datasets.reading import read_checked
from fercli.errors import UsageError
from fercli.faces.base import Detector, Face
from fercli.faces.cropping import eye_angle
from fercli.faces.detectors import check_alignable, create_detector, detector_weights
from fercli.images import Pixels
from fercli.parallel import in_threads
from fercli.progress import Progress
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.summary import FacesSummary

SIDE = 192
"""Images whose longer side is shorter are upscaled to this size before detection: four times that of FER2013."""
BORDER = 0.25
"""If no face is found, detection is repeated with the edges replicated by this share of the longer side."""
LEAST = 3.0
"""Minimum tilt in degrees for a rotation. On FER2013 the tilts that yunet finds in an image and in its mirror image
differ by 2.9 degrees in the median; rotating by less would add only the detector's error, and blur."""
_CHUNK = 16


@dataclass(frozen=True)
class FaceSearch:
    """The result of searching a dataset for faces.

    Attributes:
        detector: Name of the detector.
        faceless: Rows of images without a face.
        turns: Rotation of each tilted face in degrees by row; empty without `align`.
    """

    detector: str
    faceless: list[int] = field(default_factory=list)
    turns: dict[int, float] = field(default_factory=dict)

    def summary(self, rows: Sequence[Row], gone: Sequence[int], turned: Sequence[int]) -> FacesSummary:
        """Return the summary that `--json` prints.

        Args:
            rows: The index.
            gone: Rows of the images removed because they have no face.
            turned: Rows of the rotated images.
        """
        return FacesSummary(
            detector=self.detector,
            without=count([rows[i] for i in gone], emotions_of(rows)),
            removed=len(gone),
            turned=len(turned),
            notes=_notes(rows, gone, turned),
        )


def _notes(rows: Sequence[Row], gone: Sequence[int], turned: Sequence[int]) -> list[str]:
    """Return notes on changes to the evaluation splits."""
    notes = []
    for split in ("test", "validation"):
        every, less, moved = (sum(rows[i].split == split for i in some) for some in (range(len(rows)), gone, turned))
        if less or moved:
            parts = [f"{less:,} of {every:,} {split} images are removed"] * bool(less)
            parts += [f"{moved:,} {'' if less else f'of {every:,} {split} images '}are aligned"] * bool(moved)
            notes.append(f"{' and '.join(parts)}: results on it are not comparable with the published split")
    return notes


def face_inputs(config: CleanConfig) -> list[Input]:
    """Check that the detector can be created, and return its weights as inputs.

    Raises:
        UsageError: an option needs a detector and none is given, or the detector is not suitable.
        FerError: the detector or its weights are not available.
    """
    if config.detector is None:
        if config.align or config.weights is not None:
            raise UsageError("clean: --align and --weights need a detector; select one with --detector")
        return []
    detector = create_detector(config.detector, config.weights)
    if config.align:
        check_alignable(config.detector, detector)
    files = detector_weights(config.detector, config.weights)
    return [input_of("weights", file, "weights", digest_file(file)) for file in files]


def find_faces(
    folder: Path, rows: Sequence[Row], pictures: Sequence[Sequence[int]], config: CleanConfig, progress: Progress
) -> FaceSearch:
    """Search for a face in each distinct picture of the dataset in `folder`.

    Raises:
        DataError: an image is missing, damaged or modified.
    """
    name = config.detector
    assert name is not None
    own = threading.local()

    def search(chunk: range) -> list[float | None]:
        if not hasattr(own, "detector"):
            own.detector = create_detector(name, config.weights)
        return [_turn(own.detector, read_checked(folder, rows[pictures[k][0]])) for k in chunk]

    found = FaceSearch(name)
    chunks = [range(low, min(low + _CHUNK, len(pictures))) for low in range(0, len(pictures), _CHUNK)]
    with progress.task("finding faces", len(pictures)):
        for chunk, turns in zip(chunks, in_threads(search, chunks, config.workers), strict=True):
            for k, turn in zip(chunk, turns, strict=True):
                if turn is None:
                    found.faceless.extend(pictures[k])
                elif config.align and abs(turn) >= LEAST:
                    found.turns.update(dict.fromkeys(pictures[k], turn))
            progress.advance(len(chunk))
    found.faceless.sort()
    return found


def _turn(detector: Detector, pixels: Pixels) -> float | None:
    """Return the tilt of the largest face in degrees, 0 without landmarks; None if there is no face."""
    face = largest_face(detector, pixels)
    if face is None:
        return None
    return math.degrees(eye_angle(face)) if face.landmarks is not None else 0.0


def largest_face(detector: Detector, pixels: Pixels) -> Face | None:
    """Return the largest face of the upscaled image, searched a second time with a border if none is found.

    Its coordinates are those of the upscaled image, so only directions are meaningful.
    """
    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    if factor > 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    if faces := detector.detect(pixels):
        return faces[0]
    margin = round(BORDER * max(pixels.shape[:2]))
    edged = cv2.copyMakeBorder(pixels, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    faces = detector.detect(np.asarray(edged, np.uint8))
    return faces[0] if faces else None
