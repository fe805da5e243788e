"""Augmentation: each transform compared with a reference, with random parameters per face."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from fercli.recipes import Augmentation
from fercli.training.augment import augment, choose_view, draw_augmentation

NONE = {"flip": 0.0}


def run(x: Tensor, size: int | None = None, seed: int = 0, **settings: float) -> Tensor:
    return augment(x, Augmentation(**{**NONE, **settings}), size or x.shape[-1], draws(len(x), seed))


def draws(count: int, seed: int = 0) -> Tensor:
    return draw_augmentation(count, torch.Generator().manual_seed(seed))


def smooth(count: int = 4, channels: int = 1, side: int = 32) -> Tensor:
    """Return smooth random faces (count, channels, side, side) in 0..1."""
    noise = np.random.default_rng(0).random((count, channels, side, side))
    faces = ndimage.gaussian_filter(noise, (0, 0, 3, 3), mode="wrap")
    return torch.from_numpy((faces - faces.min()) / np.ptp(faces)).float()


def same_face(count: int) -> Tensor:
    return smooth(1).expand(count, -1, -1, -1).contiguous()


@pytest.mark.parametrize("channels", [1, 3])
def test_without_augmentation_faces_are_unchanged(channels: int) -> None:
    x = smooth(channels=channels)
    assert torch.equal(run(x), x)


def test_flip_mirrors_exactly() -> None:
    x = smooth(channels=3)
    assert torch.equal(run(x, flip=1), x.flip(3))


def test_flip_is_part_of_the_affine_map() -> None:
    x = smooth()
    torch.testing.assert_close(run(x, flip=1, rotation=1e-9), x.flip(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(run(x, rotation=1e-9), x, rtol=0, atol=1e-5)
    rotated = run(x, rotation=30, scale=0.2, shift=0.1)
    # The flip comes before the rotation.
    torch.testing.assert_close(run(x, flip=1, rotation=30, scale=0.2, shift=0.1), expected_affine(x), rtol=0, atol=1e-4)
    assert (rotated - x).abs().max() > 0.1


def expected_affine(x: Tensor) -> Tensor:
    """Compute in numpy what `augment` does for seed 0 with flip 1, rotation 30, scale 0.2, shift 0.1."""
    side, found = x.shape[-1], []
    middle = (side - 1) / 2
    for face, draw in zip(x[:, 0].numpy(), draws(len(x)).double().numpy(), strict=True):
        angle, scale = math.radians(30) * (2 * draw[1] - 1), 1 + 0.2 * (2 * draw[2] - 1)
        move = 0.1 * side * (2 * draw[3:5] - 1)
        rows, columns = np.mgrid[:side, :side] - middle
        across = scale * (-math.cos(angle) * columns - math.sin(angle) * rows) + move[0]
        down = scale * (-math.sin(angle) * columns + math.cos(angle) * rows) + move[1]
        coordinates = np.stack([down, across]) + middle
        found.append(ndimage.map_coordinates(face.astype(np.float64), coordinates, order=1, mode="reflect"))
    return torch.from_numpy(np.stack(found)[:, None]).float()


def test_rotation_matches_scipy() -> None:
    x, maximum = smooth(), 40.0
    found = run(x, rotation=maximum)
    for face, rotated, draw in zip(x[:, 0], found[:, 0], draws(4), strict=True):
        angle = maximum * (2 * float(draw[1]) - 1)
        expected = ndimage.rotate(face.double().numpy(), angle, reshape=False, order=1, mode="reflect")
        np.testing.assert_allclose(rotated.numpy(), expected, atol=1e-4)
    assert (found - x).abs().max() > 0.1


def test_shift_is_relative_to_the_side() -> None:
    x = smooth()
    found = run(x, shift=0.25)
    for face, moved, draw in zip(x[:, 0], found[:, 0], draws(4), strict=True):
        right, down = (-0.25 * 32 * (2 * float(value) - 1) for value in draw[3:5])
        expected = ndimage.shift(face.double().numpy(), (down, right), order=1, mode="reflect")
        np.testing.assert_allclose(moved.numpy(), expected, atol=1e-4)


def test_scale_is_about_the_centre() -> None:
    x = smooth()
    found = run(x, scale=0.3)
    for face, scaled, draw in zip(x[:, 0], found[:, 0], draws(4), strict=True):
        factor = 1 + 0.3 * (2 * float(draw[2]) - 1)
        offset = 15.5 * (1 - factor)
        expected = ndimage.affine_transform(
            face.double().numpy(), [factor, factor], [offset, offset], order=1, mode="reflect"
        )
        np.testing.assert_allclose(scaled.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("size", [20, 32, 48])
def test_resizing_is_part_of_the_resampling(size: int) -> None:
    x = smooth(channels=3)
    found = run(x, size)
    assert found.shape == (4, 3, size, size)
    expected = torch.nn.functional.interpolate(x, (size, size), mode="bilinear", align_corners=False)
    # At the border, sampling reflects and interpolation repeats, a difference of half a pixel.
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], rtol=0, atol=1e-5)
    assert torch.allclose(run(x, size, flip=1), found.flip(3), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"flip": 0.5},
        {"rotation": 20},
        {"scale": 0.2},
        {"shift": 0.1},
        {"brightness": 0.2},
        {"contrast": 0.3},
        {"erasing": 1.0},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_parameters_are_random_per_face_and_depend_on_the_seed(settings: dict[str, float]) -> None:
    x = same_face(16)
    found = run(x, **settings)
    assert torch.equal(run(x, **settings), found)
    assert not torch.equal(run(x, seed=1, **settings), found)
    different = {tuple(face.flatten().tolist()) for face in found}
    assert len(different) == (2 if "flip" in settings else 16)
    assert torch.equal(x, same_face(16))  # the input is not modified


def test_enabling_a_transform_does_not_change_other_random_values() -> None:
    x = smooth()
    torch.testing.assert_close(run(x, brightness=0.1) - x, run(x, brightness=0.1, contrast=1e-9) - x)


def test_flip_probability() -> None:
    x = same_face(2000)
    share = float((run(x, flip=0.3) != x).flatten(1).any(1).float().mean())
    assert abs(share - 0.3) < 0.04  # four standard errors


@pytest.mark.parametrize("also", [{}, {"rotation": 1e-9}])
def test_given_flips_override_the_probability(also: dict[str, float]) -> None:
    x = same_face(4)
    mirror = torch.tensor([True, False, False, True])
    found = augment(x, Augmentation(flip=1, **also), x.shape[-1], draws(len(x)), mirror)
    expected = torch.where(mirror.view(-1, 1, 1, 1), x.flip(3), x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_brightness() -> None:
    x = same_face(500)
    added = run(x, brightness=0.2) - x
    assert added.flatten(1).std(1).max() < 1e-6
    by_face = added.mean((1, 2, 3))
    assert -0.2 <= by_face.min() < -0.19
    assert 0.19 < by_face.max() <= 0.2


def test_contrast() -> None:
    x = same_face(500)
    found = run(x, contrast=0.4)
    torch.testing.assert_close(found.mean((1, 2, 3)), x.mean((1, 2, 3)))
    factor = found.flatten(1).std(1) / x.flatten(1).std(1)
    assert 0.6 <= factor.min() < 0.62
    assert 1.38 < factor.max() <= 1.4001


def test_erasing() -> None:
    x = smooth(1, side=64).expand(600, -1, -1, -1) + 1  # no pixel equals its mean
    found = run(x, erasing=0.4)
    changed = (found != x)[:, 0]
    touched = changed.flatten(1).any(1)
    assert abs(float(touched.float().mean()) - 0.4) < 0.08
    shares = []
    for face, where in zip(found[touched, 0], changed[touched], strict=True):
        rows, columns = where.any(1), where.any(0)
        assert torch.equal(where, rows[:, None] & columns[None])  # a rectangle
        for line in (rows, columns):
            assert int(line.diff().sum()) <= 2  # contiguous
        assert torch.equal(face[where], face[where][:1].expand(int(where.sum())))
        assert math.isclose(float(face[where][0]), float(x[0].mean()), rel_tol=1e-5)
        shares.append(float(where.float().mean()))
        assert 0.4 < int(rows.sum()) / int(columns.sum()) < 2.5
    assert 0.01 < min(shares) < 0.04
    assert 0.17 < max(shares) < 0.23


@pytest.mark.parametrize("flips", [None, torch.tensor([True, False, True, True])])
def test_views_are_chosen_as_faces_are_flipped(flips: Tensor | None) -> None:
    faces, settings = smooth(), Augmentation(flip=0.5)
    views = torch.stack([faces.flatten(1), faces.flip(3).flatten(1)], 1)
    expected = augment(faces, settings, faces.shape[-1], draws(4), flips).flatten(1)
    assert torch.equal(choose_view(views, settings, 0, draws(4), flips), expected)
    assert torch.equal(choose_view(views[:, :1], settings, 0, draws(4), flips), views[:, 0])
