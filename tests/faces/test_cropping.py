"""Cropping: aspect ratio, padding, resampling and alignment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.errors import UsageError
from fercli.faces.base import Face
from fercli.faces.cropping import crop_face, crop_matrix, crop_square, eye_angle
from tests.helpers.datasets import noise

coordinate = st.floats(-50, 250)
length = st.floats(1, 300)
boxes = st.tuples(coordinate, coordinate, length, length)


def face(*box: float, eyes: tuple[tuple[float, float], tuple[float, float]] | None = None) -> Face:
    left, top, width, height = box
    return Face((left, top, width, height), 1.0, None if eyes is None else (*eyes, (0, 0), (0, 0), (0, 0)))


def test_box_of_the_crops_size_is_copied_exactly() -> None:
    pixels = noise(0, 90, 120, 3)
    assert np.array_equal(crop_face(pixels, face(30, 20, 48, 48), 48, "rgb", 0), pixels[20:68, 30:78])
    assert np.array_equal(crop_face(pixels[..., 0], face(30, 20, 48, 48), 48, "gray", 0), pixels[20:68, 30:78, 0])


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_downscaling_averages_areas(blocks: int) -> None:
    pixels, side = noise(1, 120, 120, 3), 16 * blocks
    expected = pixels[8 : 8 + side, 12 : 12 + side].reshape(16, blocks, 16, blocks, 3).mean((1, 3))
    assert np.abs(crop_face(pixels, face(12, 8, side, side), 16, "rgb", 0) - expected).max() <= 0.5


def test_aspect_ratio_is_kept() -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels[30:70, 40:60] = 255  # a bar twice as high as wide
    crop = crop_face(pixels, face(40, 30, 20, 40), 40, "gray", 0)
    assert np.array_equal(crop[:, 10:30], np.full((40, 20), 255))
    assert not crop[:, :10].any()
    assert not crop[:, 30:].any()


def test_margin_is_added_on_each_side() -> None:
    assert crop_square(face(10, 20, 30, 40), 0.25) == (25, 40, 60)


def test_padding_is_by_reflection() -> None:
    pixels = noise(2, 40, 40)
    crop = crop_face(pixels, face(-10, 30, 20, 20), 20, "gray", 0)
    assert np.array_equal(crop, np.pad(pixels, 10, "symmetric")[40:60, 0:20])
    far = crop_face(pixels, face(500, 500, 20, 20), 20, "gray", 0)
    assert far.shape == (20, 20)


@pytest.mark.slow
@given(box=boxes, margin=st.floats(0, 1), size=st.sampled_from([8, 48, 80]), color=st.sampled_from(["gray", "rgb"]))
def test_crop_has_the_requested_size(box: tuple[float, ...], margin: float, size: int, color: str) -> None:
    pixels = noise(3, 60, 90, 3)
    crop = crop_face(pixels, face(*box), size, color, margin)  # type: ignore[arg-type]
    assert crop.shape == ((size, size) if color == "gray" else (size, size, 3))
    assert crop.dtype == np.uint8


@given(box=boxes, margin=st.floats(0, 1), size=st.integers(8, 256))
def test_matrix_maps_the_square_to_the_crop(box: tuple[float, ...], margin: float, size: int) -> None:
    x, y, side = crop_square(face(*box), margin)
    corners = np.array([[x - side / 2, y - side / 2, 1], [x + side / 2, y + side / 2, 1]])
    assert np.allclose(corners @ crop_matrix(face(*box), size, margin).T, [[0, 0], [size, size]], atol=1e-6 * size)


@pytest.mark.slow
@given(box=boxes, angle=st.floats(-math.pi, math.pi), apart=st.floats(1, 100), size=st.integers(8, 256))
def test_alignment_levels_the_eyes_and_keeps_the_scale(
    box: tuple[float, ...], angle: float, apart: float, size: int
) -> None:
    x, y = box[0] + box[2] / 3, box[1] + box[3] / 3
    eyes = (x, y), (x + apart * math.cos(angle), y + apart * math.sin(angle))
    tilted = face(*box, eyes=eyes)
    matrix = crop_matrix(tilted, size, 0.1, align=True)
    (x0, y0), (x1, y1) = (matrix @ (*eye, 1) for eye in eyes)
    _, _, side = crop_square(tilted, 0.1)
    assert math.isclose(y0, y1, abs_tol=1e-6 * size)
    assert math.isclose(x1 - x0, apart * size / side, rel_tol=1e-6, abs_tol=1e-6)
    x, y, _ = crop_square(tilted)
    assert np.allclose(matrix @ (x, y, 1), size / 2, atol=1e-6 * size)


@pytest.mark.parametrize("degrees", [-35, 0, 20, 60])
def test_eyes_are_moved_as_the_matrix_says(degrees: int) -> None:
    angle = math.radians(degrees)
    centre, reach = np.array([100.0, 100.0]), 30 * np.array([math.cos(angle), math.sin(angle)])
    eyes = [centre - reach, centre + reach]
    ys, xs = np.mgrid[:200, :200] + 0.5
    pixels = np.zeros((200, 200), np.uint8)
    for x, y in eyes:
        pixels[np.hypot(xs - x, ys - y) < 5] = 255
    tilted = face(50, 50, 100, 100, eyes=(tuple(eyes[0]), tuple(eyes[1])))
    crop = crop_face(pixels, tilted, 50, "gray", 0, align=True).astype(float)
    ys, xs = np.mgrid[:50, :50] + 0.5
    for half, x in ((xs < 25, 10), (xs >= 25, 40)):
        weight = crop * half
        assert math.isclose((weight * xs).sum() / weight.sum(), x, abs_tol=0.15)
        assert math.isclose((weight * ys).sum() / weight.sum(), 25, abs_tol=0.15)


def test_aligning_a_quarter_turn_is_exact() -> None:
    pixels = noise(4, 48, 48, 3)
    tilted = face(0, 0, 48, 48, eyes=((24, 10), (24, 30)))
    assert eye_angle(tilted) == math.pi / 2
    assert np.array_equal(crop_face(pixels, tilted, 48, "rgb", 0, align=True), np.rot90(pixels))


def test_aligning_without_landmarks_is_an_error() -> None:
    with pytest.raises(UsageError, match="without landmarks cannot be aligned"):
        crop_face(noise(0, 50, 50), face(0, 0, 50, 50), 48, "gray", align=True)


@pytest.mark.slow
def test_huge_face_takes_bounded_memory() -> None:
    pixels = np.full((3000, 9000), 77, np.uint8)
    crop = crop_face(pixels, face(0, 0, 9000, 3000), 8, "gray", 1)
    assert np.array_equal(crop, np.full((8, 8), 77))
