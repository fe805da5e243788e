"""Letterboxing and downscaling, and mapping coordinates back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.faces.scaling import FILL, Scaling, letterbox, reduce_to
from tests.helpers.datasets import noise

sides = st.integers(1, 400)


@pytest.mark.slow
@given(height=sides, width=sides, to=st.sampled_from([(32, 32), (64, 96), (320, 320)]))
def test_letterboxed_corners_are_mapped_back(height: int, width: int, to: tuple[int, int]) -> None:
    boxed, scaling = letterbox(np.zeros((height, width), np.uint8), *to)
    assert boxed.shape == to
    rows, columns = np.nonzero(boxed != FILL)
    ends = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    assert np.allclose(scaling.invert(ends), (0, 0, width, height))
    # It fills one side, is centred along the other, and keeps its aspect ratio to the pixel.
    wide, high = ends[2:] - ends[:2]
    assert high == to[0] or wide == to[1]
    assert abs(ends[0] - (to[1] - ends[2])) <= 1
    assert abs(ends[1] - (to[0] - ends[3])) <= 1
    scale = min(to[0] / height, to[1] / width)
    assert abs(wide - width * scale) <= max(0.5, 1 - width * scale)
    assert abs(high - height * scale) <= max(0.5, 1 - height * scale)


def test_image_of_the_right_size_is_unchanged() -> None:
    pixels = noise(0, 32, 48, 3)
    boxed, scaling = letterbox(pixels, 32, 48)
    assert np.array_equal(boxed, pixels)
    assert scaling == Scaling(1.0, 1.0)


@given(height=sides, width=sides, longest=st.integers(1, 300))
def test_images_are_downscaled_but_never_enlarged(height: int, width: int, longest: int) -> None:
    small, scaling = reduce_to(np.zeros((height, width), np.uint8), longest)
    assert max(small.shape) == min(longest, max(height, width))
    assert np.allclose(scaling.invert(np.array([0.0, 0, small.shape[1], small.shape[0]])), (0, 0, width, height))


def test_downscaling_averages_areas() -> None:
    pixels = noise(1, 60, 80)
    small, _ = reduce_to(pixels, 40)
    assert np.abs(small - pixels.reshape(30, 2, 40, 2).mean((1, 3))).max() <= 0.5


@given(
    st.builds(Scaling, st.floats(0.01, 9), st.floats(0.01, 9), st.integers(0, 99), st.integers(0, 99)),
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), min_size=1, max_size=7),
)
def test_invert_is_the_inverse(scaling: Scaling, points: list[tuple[float, float]]) -> None:
    mapped = np.array([[x * scaling.scale_x + scaling.left, y * scaling.scale_y + scaling.top] for x, y in points])
    assert np.allclose(scaling.invert(mapped.reshape(1, -1)), np.array(points).reshape(1, -1), atol=1e-6)
