"""The attention blocks against their equations, computed by hand in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from fercli.models.attention import SpatialAttention, SqueezeExcitation


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("kernel", [3, 7])
def test_spatial_attention_is_its_equation(kernel: int) -> None:
    torch.manual_seed(0)
    block, x = SpatialAttention(kernel), torch.randn(2, 5, 9, 8)
    weight, pixels = block.conv.weight.detach().numpy().astype(np.float64), x.numpy().astype(np.float64)
    pooled = np.stack([pixels.mean(1), pixels.max(1)], 1)  # (2, 2, 9, 8): the mean first
    reach = kernel // 2
    padded = np.pad(pooled, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    wanted = np.empty((2, 1, 9, 8))
    for image in range(2):
        for row in range(9):
            for column in range(8):
                window = padded[image, :, row : row + kernel, column : column + kernel]
                wanted[image, 0, row, column] = sigmoid((window * weight[0]).sum())
    np.testing.assert_allclose(block.attention(x).detach().numpy(), wanted, atol=1e-6)
    np.testing.assert_allclose(block(x).detach().numpy(), pixels * wanted, atol=1e-5)


def test_spatial_attention_has_one_convolution_without_bias() -> None:
    shapes = {name: tuple(p.shape) for name, p in SpatialAttention().named_parameters()}
    assert shapes == {"conv.weight": (1, 2, 7, 7)}


@pytest.mark.parametrize(("channels", "reduction"), [(32, 16), (24, 4)])
def test_squeeze_excitation_is_its_equation(channels: int, reduction: int) -> None:
    torch.manual_seed(1)
    block, x = SqueezeExcitation(channels, reduction), torch.randn(3, channels, 4, 6) + 0.5
    first, second = (p.detach().numpy().astype(np.float64) for p in block.parameters())
    assert first.shape == (channels // reduction, channels)
    assert second.shape == (channels, channels // reduction)
    pixels = x.numpy().astype(np.float64)
    squeezed = pixels.mean((2, 3))
    scale = sigmoid(np.maximum(squeezed @ first.T, 0) @ second.T)
    np.testing.assert_allclose(block(x).detach().numpy(), pixels * scale[:, :, None, None], atol=1e-6)


@pytest.mark.parametrize("block", [SpatialAttention(), SqueezeExcitation(32)], ids=["spatial", "channel"])
def test_each_image_is_weighed_by_itself(block: torch.nn.Module) -> None:
    x: Tensor = torch.randn(4, 32, 6, 6, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(block(x)[2:3], block(x[2:3]))
