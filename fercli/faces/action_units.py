"""Facial action units: which ones each emotion activates, and where in a face they are visible.

Numbers and names follow the Facial Action Coding System (Ekman, Friesen and Hager, 2002); the units of each emotion
are its most common form in EMFACS (Ekman and Friesen, 1983).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fercli.emotions import EMOTIONS

Box = tuple[float, float, float, float]
"""Left, top, width, height as fractions of an aligned face's square (top of brows to chin, cheek to cheek)."""

Strengths = Mapping[int, float]
"""Strength of every unit in `UNITS`, 0..1."""

_BROWS: tuple[Box, ...] = ((0.08, 0.0, 0.84, 0.2),)
_INNER_BROWS: tuple[Box, ...] = ((0.3, 0.0, 0.4, 0.22),)
_OUTER_BROWS: tuple[Box, ...] = ((0.06, 0.0, 0.26, 0.2), (0.68, 0.0, 0.26, 0.2))
_LIDS: tuple[Box, ...] = ((0.12, 0.12, 0.32, 0.22), (0.56, 0.12, 0.32, 0.22))
_CHEEKS: tuple[Box, ...] = ((0.06, 0.24, 0.3, 0.3), (0.64, 0.24, 0.3, 0.3))
_NOSE: tuple[Box, ...] = ((0.34, 0.16, 0.32, 0.48),)
_MOUTH: tuple[Box, ...] = ((0.22, 0.6, 0.56, 0.28),)
_JAW: tuple[Box, ...] = ((0.2, 0.6, 0.6, 0.4),)
_CHIN: tuple[Box, ...] = ((0.28, 0.64, 0.44, 0.36),)


@dataclass(frozen=True, slots=True)
class ActionUnit:
    """One action unit.

    Attributes:
        number: Its number in FACS.
        name: Its name in FACS.
        boxes: Where it is visible in an aligned face.
    """

    number: int
    name: str
    boxes: tuple[Box, ...]


UNITS: Mapping[int, ActionUnit] = MappingProxyType(
    {
        number: ActionUnit(number, name, boxes)
        for number, name, boxes in (
            (1, "inner brow raiser", _INNER_BROWS),
            (2, "outer brow raiser", _OUTER_BROWS),
            (4, "brow lowerer", _BROWS),
            (5, "upper lid raiser", _LIDS),
            (6, "cheek raiser", _CHEEKS),
            (7, "lid tightener", _LIDS),
            (9, "nose wrinkler", _NOSE),
            (12, "lip corner puller", _MOUTH),
            (15, "lip corner depressor", _MOUTH),
            (17, "chin raiser", _CHIN),
            (20, "lip stretcher", _MOUTH),
            (23, "lip tightener", _MOUTH),
            (25, "lips part", _MOUTH),
            (26, "jaw drop", _JAW),
        )
    }
)
"""The units by number, in order."""

EMOTION_UNITS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "angry": (4, 5, 7, 23),
        "disgust": (9, 15, 17),
        "fear": (1, 2, 4, 5, 7, 20, 26),
        "happy": (6, 12),
        "sad": (1, 4, 15),
        "surprise": (1, 2, 5, 26),
        "neutral": (),
    }
)
"""The action units of each emotion."""

OPTIONAL_UNITS: Mapping[str, tuple[int, ...]] = MappingProxyType({"fear": (25,), "happy": (25,), "surprise": (25,)})
"""Units that may accompany an emotion: lips part in a broad smile, and whenever the jaw drops."""


def regions(emotion: str) -> tuple[Box, ...]:
    """Return the regions of an aligned face where an emotion's units are visible, without duplicates; none for neutral.

    Args:
        emotion: One of the seven emotions.

    Raises:
        KeyError: the emotion is not one of the seven.
    """
    boxes = (box for number in EMOTION_UNITS[emotion] for box in UNITS[number].boxes)
    return tuple(dict.fromkeys(boxes))


def sample_strengths(emotion: str, intensity: float, generator: np.random.Generator) -> dict[int, float]:
    """Sample the strength of each unit for one face that shows an emotion.

    Args:
        emotion: One of the seven emotions.
        intensity: Overall strength, 0..1. Each unit deviates from it by up to 15 %.
        generator: Random number generator.

    Returns:
        Strength of every unit, 0..1; 0 for units that the emotion does not activate.
    """
    strengths = dict.fromkeys(UNITS, 0.0)
    for number in EMOTION_UNITS[emotion]:
        strengths[number] = float(np.clip(intensity * generator.uniform(0.85, 1.15), 0, 1))
    if strengths[26]:
        strengths[25] = strengths[26]  # in these faces the jaw cannot drop with the lips closed
    elif 25 in OPTIONAL_UNITS.get(emotion, ()) and generator.random() < 0.6:
        strengths[25] = float(np.clip(intensity * generator.uniform(0.85, 1.15), 0, 1))
    return strengths


assert set(EMOTION_UNITS) == set(EMOTIONS)
