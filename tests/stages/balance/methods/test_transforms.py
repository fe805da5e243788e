"""Augmentation: what each draw does, and that nothing else plays a part."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fercli.stages.balance.methods.transforms import BRIGHTNESS, CONTRAST, CROP, ROTATION, UNIFORMS, augment
from tests.helpers.datasets import face, noise

# Draws under which nothing changes: not mirrored, not turned, the whole image, contrast and brightness as they are.
STILL = np.array([0.9, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5])
PLACES = {name: k for k, name in enumerate(("flip", "angle", "size", "across", "down", "contrast", "light"))}
assert len(PLACES) == len(STILL) == UNIFORMS


def drawn(**values: float) -> np.ndarray:
    draws = STILL.copy()
    for name, value in values.items():
        draws[PLACES[name]] = value
    return draws


@pytest.mark.parametrize("shape", [(48, 48), (47, 31), (48, 48, 3), (1, 1), (2, 5, 3)])
def test_still_draws_change_nothing_and_a_flip_mirrors_exactly(shape: tuple[int, ...]) -> None:
    pixels = noise(1, *shape)
    np.testing.assert_array_equal(augment(pixels, STILL), pixels)
    np.testing.assert_array_equal(augment(pixels, drawn(flip=0.1)), pixels[:, ::-1])


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, UNIFORMS, elements=st.floats(0, 1)),
    st.sampled_from([(48, 48), (31, 47), (16, 16, 3), (1, 1), (1, 9)]),
)
def test_any_draw_keeps_shape_and_type(draws: np.ndarray, shape: tuple[int, ...]) -> None:
    pixels = noise(2, *shape)
    before = pixels.copy()
    changed = augment(pixels, draws)
    assert (changed.shape, changed.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(augment(pixels, draws), changed)


@pytest.mark.parametrize(("share", "degrees"), [(0.0, ROTATION), (1.0, -ROTATION)])
def test_the_turn_is_about_the_middle(share: float, degrees: float) -> None:
    pixels = face(3, 49)
    matrix = cv2.getRotationMatrix2D((24, 24), -degrees, 1.0)
    oracle = cv2.warpAffine(pixels, matrix, (49, 49), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    difference = np.abs(augment(pixels, drawn(angle=share)).astype(int) - oracle)
    assert difference.max() <= 2  # OpenCV rounds places to 1/32 of a pixel, differently either way


def test_the_crop_lies_within_the_image_and_reaches_its_corners() -> None:
    rows, columns = np.mgrid[0:60, 0:60].astype(np.uint8)
    for across, low in ((0.0, 0), (1.0, 60 * (1 - CROP))):
        cropped = augment(columns, drawn(size=0.0, across=across)).astype(float)
        middle = cropped[:, 30].mean()
        assert abs(middle - (low + CROP * 30)) < 1
        assert cropped.min() >= low - 1
        assert cropped.max() <= low + CROP * 60
        down = augment(rows, drawn(size=0.0, down=across))
        np.testing.assert_array_equal(down, augment(columns, drawn(size=0.0, across=across)).T)


def test_contrast_spreads_about_the_mean_and_brightness_shifts() -> None:
    pixels = (face(4) // 3 + 80).astype(np.uint8)
    mean = pixels.mean()
    for share, factor in ((0.0, 1 - CONTRAST), (1.0, 1 + CONTRAST)):
        expected = mean + factor * (pixels - mean)
        assert np.abs(augment(pixels, drawn(contrast=share)) - expected).max() <= 0.5 + 1e-9
    for share, step in ((0.0, -BRIGHTNESS), (1.0, BRIGHTNESS)):
        np.testing.assert_array_equal(augment(pixels, drawn(light=share)), pixels.astype(int) + round(step))
    assert augment(np.full((4, 4), 250, np.uint8), drawn(light=1.0)).max() == 255  # and does not run over
