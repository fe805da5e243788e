"""Faces on which an exported model is compared with its checkpoint."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import cycle, islice

import numpy as np

from fercli.emotions import EMOTIONS
from fercli.faces.base import Face
from fercli.faces.cropping import crop_face
from fercli.faces.synthetic.identity import Identity, sample_identity
from fercli.faces.synthetic.photograph import render_photograph
from fercli.images import Color, Pixels

NUMBER = 512
_PHOTOGRAPHS = 48
_MARGINS = (-0.15, 0.4)
"""The range of margins around a drawn face, so that one face gives different crops."""


def drawn_faces(size: int, color: Color, number: int = NUMBER) -> Pixels:
    """Return crops of synthetic faces, uint8 (N, size, size) or (N, size, size, 3); always the same."""
    faces = islice(cycle(_photographed()), number)
    margins = np.random.default_rng(0).uniform(*_MARGINS, number)
    return np.stack(
        [crop_face(pixels, face, size, color, margin) for (pixels, face), margin in zip(faces, margins, strict=True)]
    )


def drawn_photographs(number: int = 8) -> list[Pixels]:
    """Return synthetic photographs, uint8 (H, W, 3); always the same."""
    different = {id(pixels): pixels for pixels, _ in _photographed()}
    return list(islice(different.values(), number))


@lru_cache(maxsize=1)
def _photographed() -> list[tuple[Pixels, Face]]:
    """Return synthetic photographs, once for each face in them."""
    found = []
    for number in range(_PHOTOGRAPHS):
        generator = np.random.default_rng(number)
        emotion = EMOTIONS[number % len(EMOTIONS)]
        pixels, truths = render_photograph(emotion, 1000, partial(_person, number), generator)
        found += [(pixels, Face(truth.box, 1.0)) for truth in truths]
    return found


def _person(photograph: int, number: int) -> Identity:
    return sample_identity(np.random.default_rng([photograph, number]))


def spread(faces: Pixels, number: int = NUMBER) -> np.ndarray:
    """Return the positions of at most `number` faces, evenly spaced."""
    return np.unique(np.linspace(0, len(faces) - 1, min(number, len(faces))).round().astype(np.int64))
