"""Preprocessing from uint8 to a model's input, compared with computed values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from fercli.models.preprocessing import Preprocessing, channels_first, channels_last
from fercli.models.registry import find_model

GRAY = Preprocessing(input_size=8, mean=(0.5,), std=(0.25,))
RGB = Preprocessing(input_size=8, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.5))


def flat(*values: int) -> torch.Tensor:
    """Return faces (1, C, 8, 8) with one value per channel."""
    return torch.tensor(values, dtype=torch.uint8).view(1, -1, 1, 1).repeat(1, 1, 8, 8)


def test_normalisation() -> None:
    x = GRAY(flat(51))
    assert x.shape == (1, 1, 8, 8)
    torch.testing.assert_close(x, torch.full((1, 1, 8, 8), -1.2))  # (0.2 - 0.5) / 0.25
    x = RGB(flat(51, 102, 255))
    expected = torch.tensor([-2.0, -0.5, 0.8]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    torch.testing.assert_close(x, expected)


def test_gray_for_an_rgb_model_is_repeated() -> None:
    x = RGB(flat(102))
    torch.testing.assert_close(x[0, :, 0, 0], torch.tensor([0.0, -0.5, -0.4]))


def test_rgb_for_a_gray_model_is_converted_to_luma() -> None:
    red, green, blue = (GRAY.to_float(flat(*v))[0, 0, 0, 0] for v in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
    torch.testing.assert_close(torch.stack([red, green, blue]), torch.tensor([0.299, 0.587, 0.114]))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    ours = GRAY.to_float(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0, 0].numpy() * 255
    np.testing.assert_allclose(ours, np.asarray(Image.fromarray(pixels).convert("L")), atol=1)


def test_values_are_divided_by_255_once() -> None:
    faces = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    torch.testing.assert_close(GRAY.to_float(faces).flatten(), torch.arange(256) / 255)
    assert GRAY.to_float(faces).dtype == torch.float32


def test_resize_is_antialiased_and_skips_matching_sizes() -> None:
    x = torch.rand(1, 1, 8, 8)
    assert GRAY.resize(x) is x
    lines = (torch.arange(32) % 4 == 0).float().expand(1, 1, 32, 32)  # every fourth column
    # Without antialiasing the columns would fall between the sampled positions and vanish.
    torch.testing.assert_close(GRAY.resize(lines)[..., 2:-2], torch.full((1, 1, 8, 4), 0.25))
    big = GRAY.resize(torch.rand(2, 3, 4, 4), 12)
    assert big.shape == (2, 3, 12, 12)
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    torch.testing.assert_close(GRAY.resize(ramp)[0, 0, 3], torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]))


def test_preprocessing_is_independent_of_the_batch() -> None:
    faces = torch.randint(0, 256, (3, 1, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(GRAY(faces)[1:2], GRAY(faces[1:2]))


def test_preprocessing_of_a_model() -> None:
    spec = find_model("resnet18")
    assert Preprocessing.of(spec) == Preprocessing(input_size=224, mean=spec.mean, std=spec.std)
    assert Preprocessing.of(spec, 96).input_size == 96


@pytest.mark.parametrize(
    "wrong",
    [
        {"std": (0.0,)},
        {"std": (-1.0,)},
        {"mean": (0.5, 0.5)},
        {"mean": (0.5, 0.5), "std": (0.1, 0.1)},
        {"mean": (), "std": ()},
        {"mean": (float("nan"),)},
        {"std": (float("inf"),)},
        {"input_size": 7},
        {"input_size": 100_000},
        {"scale": 255},
    ],
)
def test_invalid_values_are_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocessing(**{"input_size": 48, "mean": (0.5,), "std": (0.2,), **wrong})


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 5, 3)])
def test_channels_first_and_last_are_inverse(shape: tuple[int, ...]) -> None:
    pixels = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8)[: int(np.prod(shape))].view(shape)
    images = channels_first(pixels)
    assert images.shape == (2, 3 if len(shape) == 4 else 1, 4, 5)
    assert images.data_ptr() == pixels.data_ptr()
    assert images[1, 0, 2, 3] == pixels[1, 2, 3].flatten()[0]
    assert torch.equal(channels_last(images), pixels)
