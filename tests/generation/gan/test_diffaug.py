"""Differentiable augmentation: each operation against its definition, and the gradient."""

import pytest
import torch

from fercli.generation.gan.diffaug import UNIFORMS, diffaug

# Nothing but a cutout, which cannot be wholly outside: at position 0 a quarter of its square is inside.
IDENTITY = [0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]


def uniforms_with(*changes: tuple[int, float]) -> torch.Tensor:
    uniforms = torch.tensor([IDENTITY])
    for index, value in changes:
        uniforms[0, index] = value
    return uniforms


def augmented(faces: torch.Tensor, *changes: tuple[int, float]) -> torch.Tensor:
    return diffaug(faces, uniforms_with(*changes).expand(len(faces), -1))


def test_brightness_adds_and_contrast_scales() -> None:
    torch.manual_seed(0)
    face = torch.randn(1, 1, 48, 48)
    part = (slice(None), slice(None), slice(24, None), slice(None))
    torch.testing.assert_close(augmented(face, (0, 0.9))[part], (face + 0.4)[part])
    torch.testing.assert_close(augmented(face, (2, 1.0))[part], (face.mean() + 1.5 * (face - face.mean()))[part])
    torch.testing.assert_close(augmented(face)[part], face[part])


def test_saturation_changes_only_colour() -> None:
    torch.manual_seed(0)
    face, part = torch.randn(1, 3, 48, 48), (slice(None), slice(None), slice(24, None), slice(None))
    grey = face.mean(1, keepdim=True).expand_as(face)
    torch.testing.assert_close(augmented(face, (1, 0.0))[part], grey[part])
    torch.testing.assert_close(augmented(face, (1, 1.0))[part], (2 * face - grey)[part])
    torch.testing.assert_close(augmented(face[:, :1], (1, 0.0))[part], face[:, :1][part])


@pytest.mark.parametrize(("uniform", "steps"), [(0.0, -6), (0.999, 6), (0.5, 0), (0.6, 1)])
@pytest.mark.parametrize("axis", [2, 3])
def test_shift_is_by_whole_pixels_with_grey_padding(uniform: float, steps: int, axis: int) -> None:
    face = torch.arange(1.0, 48 * 48 + 1).view(1, 1, 48, 48)
    expected = torch.zeros_like(face)
    for target in range(48):
        if 0 <= target - steps < 48:
            expected.select(axis, target).copy_(face.select(axis, target - steps))
    expected[:, :, :12, :12] = 0  # the cutout at position 0
    torch.testing.assert_close(augmented(face, (axis + 1, uniform)), expected, rtol=1e-6, atol=1e-2)


@pytest.mark.parametrize(("uniform", "low"), [(0.0, -12), (0.5, 12), (0.999, 35), (0.25, 0)])
def test_cutout_is_a_square_of_half_the_side(uniform: float, low: int) -> None:
    blank = augmented(torch.ones(1, 1, 48, 48), (5, uniform), (6, uniform))[0, 0] == 0
    expected = torch.zeros(48, 48, dtype=torch.bool)
    expected[max(0, low) : low + 24, max(0, low) : low + 24] = True
    assert torch.equal(blank, expected)


def test_augmentation_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    faces, uniforms = torch.randn(6, 3, 32, 32), torch.rand(6, UNIFORMS)
    together = diffaug(faces, uniforms)
    for k in range(6):
        torch.testing.assert_close(diffaug(faces[k : k + 1], uniforms[k : k + 1]), together[k : k + 1])
    twice = diffaug(faces[:1].expand(2, -1, -1, -1), uniforms[:2])
    assert not torch.equal(twice[0], twice[1])


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_flows_through(channels: int) -> None:
    torch.manual_seed(0)
    faces = torch.randn(2, channels, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: diffaug(x, torch.full((2, UNIFORMS), 0.7)), faces)


def test_dtype_is_preserved() -> None:
    assert diffaug(torch.ones(2, 1, 32, 32, dtype=torch.bfloat16), torch.rand(2, UNIFORMS)).dtype == torch.bfloat16
