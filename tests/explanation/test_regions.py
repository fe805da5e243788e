"""Action unit regions of a face image, and the share of heat within them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.emotions import EMOTIONS
from fercli.explanation.regions import ALIGNED, TYPICAL, alignment_matrix, box_mask, emotion_units, share, unit_mask
from fercli.faces.action_units import regions


def transform(
    points: tuple[tuple[float, float], ...], scale: float, angle: float, shift: tuple[float, float]
) -> list[tuple[float, float]]:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return [(c * x - s * y + shift[0], s * x + c * y + shift[1]) for x, y in points]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.3, 2), st.floats(-1, 1), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_alignment_inverts_a_similarity_transform(scale: float, angle: float, x: float, y: float) -> None:
    matrix = alignment_matrix(transform(ALIGNED, scale, angle, (x, y)))
    points = ((0.0, 0.0), (1.0, 0.0), (0.3, 0.9))
    for point, transformed in zip(points, transform(points, scale, angle, (x, y)), strict=True):
        assert matrix @ (*transformed, 1) == pytest.approx(point, abs=1e-9)


def test_regions_of_a_typical_crop_match_its_landmarks() -> None:
    size = 100
    brows, mouth = unit_mask([4], None, size), unit_mask([12], None, size)
    (left_eye, right_eye, nose, *corners) = TYPICAL
    rows, columns = np.nonzero(brows)
    assert rows.max() / size < max(left_eye[1], right_eye[1]) + 0.02
    assert columns.min() / size < left_eye[0] < right_eye[0] < columns.max() / size
    for x, y in corners:
        assert mouth[int(y * size), int(x * size)]
    assert not mouth[int(nose[1] * size) - 3, size // 2]
    assert not (brows & mouth).any()
    assert brows[:, ::-1].tolist() == brows.tolist()  # symmetric


def test_mask_has_the_area_of_the_union_of_boxes() -> None:
    assert box_mask([(0.2, 0.5, 0.3, 0.25)], ALIGNED, 200).mean() == pytest.approx(0.3 * 0.25, abs=0.01)
    union = box_mask([(0.0, 0.0, 0.5, 0.5), (0.25, 0.0, 0.5, 0.5)], ALIGNED, 200)
    assert union.mean() == pytest.approx(0.375, abs=0.01)
    assert not box_mask([], ALIGNED, 20).any()


def test_units_of_an_emotion_cover_its_regions() -> None:
    for emotion in EMOTIONS:
        mask = unit_mask(emotion_units(emotion), None, 48)
        assert mask.tolist() == box_mask(regions(emotion), None, 48).tolist()
        assert mask.any() == (emotion != "neutral")
    assert emotion_units("contempt") == ()
    assert emotion_units("$bored") == ()


def test_share_of_heat() -> None:
    heat = np.zeros((4, 4), np.float32)
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    assert share(heat, mask) == 0
    heat[0, 0], heat[3, 3] = 3, 1
    assert share(heat, mask) == pytest.approx(0.75)
    assert share(np.full((4, 4), 1e-30, np.float32), mask) == pytest.approx(0.5)
    assert share(np.ones((4, 4), np.float32), mask) == mask.mean()  # even heat is the baseline
