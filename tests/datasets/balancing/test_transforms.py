"""Augmentation: the effect of each uniform random number, and that nothing else matters."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fercli.datasets.balancing.transforms import BRIGHTNESS, CONTRAST, CROP, ROTATION, UNIFORMS, augment
from tests.helpers.datasets import face, noise

# Uniforms that change nothing: no flip, no rotation, full crop, same contrast and brightness.
IDENTITY = np.array([0.9, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5])
INDEX = {name: k for k, name in enumerate(("flip", "angle", "size", "across", "down", "contrast", "light"))}
assert len(INDEX) == len(IDENTITY) == UNIFORMS


def uniforms_with(**values: float) -> np.ndarray:
    uniforms = IDENTITY.copy()
    for name, value in values.items():
        uniforms[INDEX[name]] = value
    return uniforms


@pytest.mark.parametrize("shape", [(48, 48), (47, 31), (48, 48, 3), (1, 1), (2, 5, 3)])
def test_identity_and_flip_are_exact(shape: tuple[int, ...]) -> None:
    pixels = noise(1, *shape)
    np.testing.assert_array_equal(augment(pixels, IDENTITY), pixels)
    np.testing.assert_array_equal(augment(pixels, uniforms_with(flip=0.1)), pixels[:, ::-1])


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, UNIFORMS, elements=st.floats(0, 1)),
    st.sampled_from([(48, 48), (31, 47), (16, 16, 3), (1, 1), (1, 9)]),
)
def test_shape_and_dtype_are_preserved(uniforms: np.ndarray, shape: tuple[int, ...]) -> None:
    pixels = noise(2, *shape)
    before = pixels.copy()
    changed = augment(pixels, uniforms)
    assert (changed.shape, changed.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(augment(pixels, uniforms), changed)


@pytest.mark.parametrize(("uniform", "degrees"), [(0.0, ROTATION), (1.0, -ROTATION)])
def test_rotation_is_about_the_centre(uniform: float, degrees: float) -> None:
    pixels = face(3, 49)
    matrix = cv2.getRotationMatrix2D((24, 24), -degrees, 1.0)
    oracle = cv2.warpAffine(pixels, matrix, (49, 49), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    difference = np.abs(augment(pixels, uniforms_with(angle=uniform)).astype(int) - oracle)
    assert difference.max() <= 2  # OpenCV rounds positions to 1/32 of a pixel, differently in both calls


def test_crop_stays_inside_and_reaches_the_corners() -> None:
    rows, columns = np.mgrid[0:60, 0:60].astype(np.uint8)
    for across, low in ((0.0, 0), (1.0, 60 * (1 - CROP))):
        cropped = augment(columns, uniforms_with(size=0.0, across=across)).astype(float)
        middle = cropped[:, 30].mean()
        assert abs(middle - (low + CROP * 30)) < 1
        assert cropped.min() >= low - 1
        assert cropped.max() <= low + CROP * 60
        down = augment(rows, uniforms_with(size=0.0, down=across))
        np.testing.assert_array_equal(down, augment(columns, uniforms_with(size=0.0, across=across)).T)


def test_contrast_scales_about_the_mean_and_brightness_shifts() -> None:
    pixels = (face(4) // 3 + 80).astype(np.uint8)
    mean = pixels.mean()
    for uniform, factor in ((0.0, 1 - CONTRAST), (1.0, 1 + CONTRAST)):
        expected = mean + factor * (pixels - mean)
        assert np.abs(augment(pixels, uniforms_with(contrast=uniform)) - expected).max() <= 0.5 + 1e-9
    for uniform, step in ((0.0, -BRIGHTNESS), (1.0, BRIGHTNESS)):
        np.testing.assert_array_equal(augment(pixels, uniforms_with(light=uniform)), pixels.astype(int) + round(step))
    assert augment(np.full((4, 4), 250, np.uint8), uniforms_with(light=1.0)).max() == 255  # saturates
