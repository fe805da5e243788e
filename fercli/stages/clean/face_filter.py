"""Images without a face, and faces turned upright (section 6.3.1 of the Ensembles paper: fer2013.f, fer2013.f.a).

The paper filters FER2013 by DeepFace, and turns its faces by DeepFace's aligner; it names neither the detector, nor a
size, nor how many images went. Enlarging and the second look with a border are ours, measured on FER2013: a face of 48
pixels that fills the picture is small for a detector, and has no ground around it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fercli.artifacts import Input, input_of
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import Counts, Row, count, emotions_of
from fercli.datasets.reading import read_checked
from fercli.errors import FerError, UsageError
from fercli.faces.base import Detector, Face
from fercli.faces.cropping import eye_angle
from fercli.faces.detectors import check_alignable, create_detector, weights_of
from fercli.images import Pixels
from fercli.parallel import in_threads
from fercli.progress import Progress
from fercli.stages.clean.config import CleanConfig

SIDE = 192
"""An image whose longer side is shorter is enlarged to it before it is searched: four times FER2013's."""
BORDER = 0.25
"""Where nothing is found, the image is searched once more with its edges drawn out by this share of its side."""
LEAST = 3.0
"""Degrees: a face that is tilted less stays as it is. On FER2013 the tilts that yunet finds in an image and in its
mirror image differ by 2.9 degrees in the median; turning by less would add the detector's error, and blur."""
_CHUNK = 16


@dataclass(frozen=True)
class Facing:
    """Where faces were looked for in a data set, and what was found.

    Attributes:
        detector: Its name.
        faceless: Numbers of the rows whose images show no face.
        turns: Degrees by which each tilted face is to be turned, by its row's number; empty without `align`.
    """

    detector: str
    faceless: list[int] = field(default_factory=list)
    turns: dict[int, float] = field(default_factory=dict)

    def summary(self, rows: Sequence[Row], gone: Sequence[int], turned: Sequence[int]) -> dict[str, Any]:
        """Return the counts that `--json` prints.

        Args:
            rows: The index.
            gone: Numbers of the images taken out because they show no face.
            turned: Numbers of those that are turned.
        """
        without: Counts = count([rows[i] for i in gone], emotions_of(rows))
        return {
            "detector": self.detector,
            "without": without,
            "removed": len(gone),
            "turned": len(turned),
            "notes": _notes(rows, gone, turned),
        }


def _notes(rows: Sequence[Row], gone: Sequence[int], turned: Sequence[int]) -> list[str]:
    """Return what has to be said of splits that figures are measured on."""
    told = []
    for split in ("test", "validation"):
        every, less, moved = (sum(rows[i].split == split for i in some) for some in (range(len(rows)), gone, turned))
        if less or moved:
            parts = [f"{less:,} of {every:,} images of {split} go"] * bool(less)
            parts += [f"{moved:,} {'of it ' if less else f'of {every:,} images of {split} '}are turned"] * bool(moved)
            told.append(f"{' and '.join(parts)}: figures on it are not those of the set as published")
    return told


def face_inputs(config: CleanConfig) -> list[Input]:
    """Return the detector's weights as inputs, the detector having been made once for a try.

    Raises:
        UsageError: an option asks for a detector and none is named, or it does not suit.
        FerError: the detector, or its weights, cannot be had.
    """
    if config.faces is None:
        if config.align or config.face_weights is not None:
            raise UsageError("clean: --align and --face-weights need a detector: name one by --faces")
        return []
    detector = _create(config)
    if config.align:
        check_alignable(config.faces, detector, "--faces")
    files = weights_of(config.faces, config.face_weights)
    return [input_of("weights", file, "weights", digest_file(file)) for file in files]


def find_faces(
    folder: Path, rows: Sequence[Row], pictures: Sequence[Sequence[int]], config: CleanConfig, progress: Progress
) -> Facing:
    """Look for a face in each distinct picture of the data set in `folder`.

    Raises:
        DataError: an image is missing, broken or changed.
    """
    assert config.faces is not None
    own = threading.local()

    def look(chunk: range) -> list[float | None]:
        if not hasattr(own, "detector"):
            own.detector = _create(config)
        return [_turn(own.detector, read_checked(folder, rows[pictures[k][0]])) for k in chunk]

    found = Facing(config.faces)
    chunks = [range(low, min(low + _CHUNK, len(pictures))) for low in range(0, len(pictures), _CHUNK)]
    with progress.task("finding faces", len(pictures)):
        for chunk, turns in zip(chunks, in_threads(look, chunks, config.workers), strict=True):
            for k, turn in zip(chunk, turns, strict=True):
                if turn is None:
                    found.faceless.extend(pictures[k])
                elif config.align and abs(turn) >= LEAST:
                    found.turns.update(dict.fromkeys(pictures[k], turn))
            progress.advance(len(chunk))
    found.faceless.sort()
    return found


def _create(config: CleanConfig) -> Detector:
    assert config.faces is not None
    try:
        return create_detector(config.faces, config.face_weights)
    except FerError as error:
        raise type(error)(str(error).replace("--weights", "--face-weights")) from error


def _turn(detector: Detector, pixels: Pixels) -> float | None:
    """Return the tilt of the largest face, degrees, 0 without landmarks; None where there is no face."""
    face = largest_face(detector, pixels)
    if face is None:
        return None
    return math.degrees(eye_angle(face)) if face.landmarks is not None else 0.0


def largest_face(detector: Detector, pixels: Pixels) -> Face | None:
    """Return the largest face of an enlarged image; at a second look the image has a border.

    Its place is in the enlarged image, which is of use for directions alone.
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
