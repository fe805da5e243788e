"""The corruptions: shape and type, determinism, independence of the batch and of the size, and growing errors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.evaluation.corruptions import CORRUPTIONS, GRID, STRENGTHS, corrupt, parse_names
from tests.helpers.datasets import face, noise

each = pytest.mark.parametrize("name", CORRUPTIONS)


def faces(count: int, side: int, channels: int, seed: int = 0) -> np.ndarray:
    """Return random smooth faces."""
    planes = np.stack([face(seed + k, side) for k in range(count * channels)])
    return planes if channels == 1 else np.moveaxis(planes.reshape(count, channels, side, side), 1, 3).copy()


@given(
    name=st.sampled_from(list(CORRUPTIONS)),
    strength=st.integers(0, 5),
    count=st.integers(1, 4),
    side=st.sampled_from([8, 16, 47, 48, 64]),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_properties(name: str, strength: int, count: int, side: int, channels: int, seed: int) -> None:
    given_faces = faces(count, side, channels, seed)
    before = given_faces.copy()
    found = corrupt(given_faces, name, strength)
    assert found.dtype == np.uint8
    assert found.shape == given_faces.shape
    assert (given_faces == before).all()
    assert not np.shares_memory(found, given_faces)
    assert (corrupt(given_faces, name, strength) == found).all()
    # Neither the other faces of the batch nor their order matter.
    assert (corrupt(given_faces[::-1], name, strength)[::-1] == found).all()
    assert all(
        (corrupt(one[None], name, strength)[0] == own).all() for one, own in zip(given_faces, found, strict=True)
    )
    if strength == 0 or side > 16:  # a slight blur of a very small face changes nothing
        assert bool((found == given_faces).all()) is (strength == 0)


@each
@pytest.mark.parametrize("channels", [1, 3])
def test_error_grows_with_strength(name: str, channels: int) -> None:
    clean = faces(12, 48, channels)
    errors = [np.square(corrupt(clean, name, s).astype(float) - clean).mean() for s in (0, *STRENGTHS)]
    assert errors[0] == 0
    assert np.diff(errors).min() > 0
    assert errors[-1] > 30


@each
@pytest.mark.parametrize("strength", [2, 5])
def test_a_strength_means_the_same_at_every_size(name: str, strength: int) -> None:
    small = np.stack([cv2.GaussianBlur(face(k, 48), (0, 0), 1.2) for k in range(24)])
    large = np.stack([cv2.resize(one, (192, 192), interpolation=cv2.INTER_CUBIC) for one in small])

    def error(images: np.ndarray) -> float:
        difference = corrupt(images, name, strength).astype(np.float32) - images
        shown = [cv2.resize(one, (24, 24), interpolation=cv2.INTER_AREA) for one in difference]
        return float(np.sqrt(np.square(shown).mean()))

    assert error(large) == pytest.approx(error(small), rel=0.2)


def test_noise_has_the_stated_deviation() -> None:
    gray = np.stack([np.full((GRID, GRID), 120 + k % 8, np.uint8) for k in range(64)])
    for strength, deviation in zip(STRENGTHS, CORRUPTIONS["noise"].values, strict=True):
        difference = corrupt(gray, "noise", strength).astype(float) - gray
        assert difference[:8].std() / 255 == pytest.approx(deviation, rel=0.03)
        assert abs(difference.mean()) < 0.5


def test_equal_faces_get_equal_noise_and_others_do_not() -> None:
    pair = faces(2, 48, 1)
    found = corrupt(pair[[0, 1, 0]], "noise", 3).astype(int) - pair[[0, 1, 0]]
    assert (found[0] == found[2]).all()
    assert abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.1


def test_jpeg_is_jpeg_at_the_size_of_the_grid() -> None:
    one = face(3, GRID)
    quality = int(CORRUPTIONS["jpeg"].values[2])
    expected = cv2.imdecode(cv2.imencode(".jpg", one, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)
    assert (corrupt(one[None], "jpeg", 3)[0] == expected).all()


def test_contrast_and_light_by_hand() -> None:
    one = faces(1, 48, 1)
    factor, light = CORRUPTIONS["contrast"].values[4], CORRUPTIONS["low-light"].values[4]
    mean = one.mean()
    assert np.abs(corrupt(one, "contrast", 5) - (mean + factor * (one - mean))).max() <= 0.51
    assert corrupt(one, "low-light", 5).mean() == pytest.approx(light * mean, rel=0.05)


def test_turn_rotates_about_the_centre_to_both_sides() -> None:
    many = faces(40, 48, 1)
    turned = corrupt(many, "turn", 5)
    degrees = CORRUPTIONS["turn"].values[4]
    sides = set()
    for one, own in zip(many, turned, strict=True):
        for sign in (-1, 1):
            matrix = cv2.getRotationMatrix2D((23.5, 23.5), sign * degrees, 1)
            if (cv2.warpAffine(one, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE) == own).all():
                sides.add(sign)
    assert sides == {-1, 1}


@pytest.mark.parametrize(("name", "upper"), [("eyes", True), ("mouth", False)])
def test_covered_regions(name: str, upper: bool) -> None:
    one = noise(1, 1, 48, 48, 3)
    changed = (corrupt(one, name, 3) != one).any((0, 3))
    rows, columns = np.nonzero(changed)
    assert bool(rows.mean() < 24) is upper
    assert columns.mean() == pytest.approx(23.5, abs=1.5)  # symmetric
    assert 0.03 < changed.mean() < 0.3
    values = corrupt(one, name, 3)[0][changed]
    assert values.mean(0) == pytest.approx(one.mean((0, 1, 2)), abs=1)


def test_names() -> None:
    assert parse_names("all") == tuple(CORRUPTIONS)
    assert parse_names(" noise, Blur,noise") == ("blur", "noise")
    with pytest.raises(ValueError, match="no corruption 'blurr'; did you mean blur"):
        parse_names("noise,blurr")
    with pytest.raises(ValueError, match="expected all, or some of blur"):
        parse_names(" ,")


@pytest.mark.parametrize("shape", [(2, 8, 9), (8, 8), (1, 8, 8, 3, 1)])
def test_wrong_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        corrupt(np.zeros(shape, np.uint8), "blur", 1)


def test_wrong_type_and_strength() -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        corrupt(np.zeros((1, 8, 8), np.float32), "blur", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="strength 6: expected 0 to 5"):
        corrupt(np.zeros((1, 8, 8), np.uint8), "blur", 6)
