"""The emotions' action units, according to FACS and EMFACS."""

import numpy as np
import pytest

from fercli.emotions import EMOTIONS
from fercli.faces.action_units import EMOTION_UNITS, OPTIONAL_UNITS, UNITS, regions, sample_strengths

EMFACS = {
    "angry": {4, 5, 7, 23},
    "disgust": {9, 15, 17},
    "fear": {1, 2, 4, 5, 7, 20, 26},
    "happy": {6, 12},
    "sad": {1, 4, 15},
    "surprise": {1, 2, 5, 26},
    "neutral": set(),
}


def test_units_match_emfacs() -> None:
    assert {emotion: set(units) for emotion, units in EMOTION_UNITS.items()} == EMFACS
    assert list(UNITS) == sorted(UNITS)
    assert all(unit.number == number for number, unit in UNITS.items())


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_strengths_activate_only_the_emotions_units(emotion: str) -> None:
    generator = np.random.default_rng(0)
    allowed = EMFACS[emotion] | set(OPTIONAL_UNITS.get(emotion, ()))
    for intensity in (0.5, 0.75, 1.0):
        drawn = [sample_strengths(emotion, intensity, generator) for _ in range(20)]
        for strengths in drawn:
            assert list(strengths) == list(UNITS)
            active = {number for number, strength in strengths.items() if strength > 0}
            assert EMFACS[emotion] <= active <= allowed
            assert all(abs(strengths[number] - intensity) <= 0.15 * intensity + 1e-9 for number in active)
            assert strengths[25] >= strengths[26]
        assert len({tuple(strengths.values()) for strengths in drawn}) >= (15 if EMFACS[emotion] else 1)
    assert not any(sample_strengths(emotion, 0.0, generator).values())


def test_regions_are_in_anatomical_order() -> None:
    assert regions("neutral") == ()
    for emotion in EMOTIONS:
        boxes = regions(emotion)
        assert len(set(boxes)) == len(boxes)
        for left, top, width, height in boxes:
            assert 0 <= left < left + width <= 1
            assert 0 <= top < top + height <= 1
    middles = {number: np.mean([top + height / 2 for _, top, _, height in UNITS[number].boxes]) for number in UNITS}
    brows, lids, nose, mouth = (
        [middles[k] for k in group] for group in ((1, 2, 4), (5, 7), (9,), (12, 15, 20, 23, 25))
    )
    assert max(brows) < min(lids) <= max(lids) < min(nose) <= max(nose) < min(mouth)
    with pytest.raises(KeyError):
        regions("bored")
