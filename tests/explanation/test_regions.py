"""The action units' regions over a face's picture, and the share of heat in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.emotions import EMOTIONS
from fercli.explanation.regions import ALIGNED, FRAMED, mask_of, mask_of_units, placement, share, units_of
from fercli.faces.action_units import regions


def moved(
    points: tuple[tuple[float, float], ...], scale: float, angle: float, shift: tuple[float, float]
) -> list[tuple[float, float]]:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return [(c * x - s * y + shift[0], s * x + c * y + shift[1]) for x, y in points]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.3, 2), st.floats(-1, 1), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_placement_undoes_how_a_face_lies(scale: float, angle: float, x: float, y: float) -> None:
    matrix = placement(moved(ALIGNED, scale, angle, (x, y)))
    corners = ((0.0, 0.0), (1.0, 0.0), (0.3, 0.9))
    for corner, seen in zip(corners, moved(corners, scale, angle, (x, y)), strict=True):
        assert matrix @ (*seen, 1) == pytest.approx(corner, abs=1e-9)


def test_a_face_framed_as_usual_has_brows_above_its_eyes_and_the_mouth_in_its_mouth() -> None:
    size = 100
    brows, mouth = mask_of_units([4], None, size), mask_of_units([12], None, size)
    (left_eye, right_eye, nose, *corners) = FRAMED
    rows, columns = np.nonzero(brows)
    assert rows.max() / size < max(left_eye[1], right_eye[1]) + 0.02
    assert columns.min() / size < left_eye[0] < right_eye[0] < columns.max() / size
    for x, y in corners:
        assert mouth[int(y * size), int(x * size)]
    assert not mouth[int(nose[1] * size) - 3, size // 2]
    assert not (brows & mouth).any()
    assert brows[:, ::-1].tolist() == brows.tolist()  # both halves alike


def test_mask_is_the_area_of_its_boxes() -> None:
    assert mask_of([(0.2, 0.5, 0.3, 0.25)], ALIGNED, 200).mean() == pytest.approx(0.3 * 0.25, abs=0.01)
    both = mask_of([(0.0, 0.0, 0.5, 0.5), (0.25, 0.0, 0.5, 0.5)], ALIGNED, 200)
    assert both.mean() == pytest.approx(0.375, abs=0.01)  # what overlaps counts once
    assert not mask_of([], ALIGNED, 20).any()


def test_units_of_an_emotion_cover_its_regions() -> None:
    for emotion in EMOTIONS:
        own = mask_of_units(units_of(emotion), None, 48)
        assert own.tolist() == mask_of(regions(emotion), None, 48).tolist()
        assert own.any() == (emotion != "neutral")
    assert units_of("contempt") == ()
    assert units_of("$bored") == ()


def test_share_of_heat() -> None:
    heat = np.zeros((4, 4), np.float32)
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    assert share(heat, mask) == 0
    heat[0, 0], heat[3, 3] = 3, 1
    assert share(heat, mask) == pytest.approx(0.75)
    assert share(np.full((4, 4), 1e-30, np.float32), mask) == pytest.approx(0.5)
    assert share(np.ones((4, 4), np.float32), mask) == mask.mean()  # even heat is the baseline
