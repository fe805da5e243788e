"""Attention blocks, compared with their equations in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from fercli.models.attention import (
    ATTENTIONS,
    ChannelAttention,
    ConvolutionalAttention,
    EfficientChannelAttention,
    SpatialAttention,
    SqueezeExcitation,
    create_attention,
)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("kernel", [3, 7])
def test_spatial_attention_matches_its_equation(kernel: int) -> None:
    torch.manual_seed(0)
    block, x = SpatialAttention(kernel), torch.randn(2, 5, 9, 8)
    weight, pixels = block.conv.weight.detach().numpy().astype(np.float64), x.numpy().astype(np.float64)
    pooled = np.stack([pixels.mean(1), pixels.max(1)], 1)  # (2, 2, 9, 8): the mean first
    reach = kernel // 2
    padded = np.pad(pooled, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    expected = np.empty((2, 1, 9, 8))
    for image in range(2):
        for row in range(9):
            for column in range(8):
                window = padded[image, :, row : row + kernel, column : column + kernel]
                expected[image, 0, row, column] = sigmoid((window * weight[0]).sum())
    np.testing.assert_allclose(block.attention(x).detach().numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(block(x).detach().numpy(), pixels * expected, atol=1e-5)


def test_spatial_attention_has_one_convolution_without_bias() -> None:
    shapes = {name: tuple(p.shape) for name, p in SpatialAttention().named_parameters()}
    assert shapes == {"conv.weight": (1, 2, 7, 7)}


@pytest.mark.parametrize(("channels", "reduction"), [(32, 16), (24, 4)])
def test_squeeze_excitation_matches_its_equation(channels: int, reduction: int) -> None:
    torch.manual_seed(1)
    block, x = SqueezeExcitation(channels, reduction), torch.randn(3, channels, 4, 6) + 0.5
    first, second = (p.detach().numpy().astype(np.float64) for p in block.parameters())
    assert first.shape == (channels // reduction, channels)
    assert second.shape == (channels, channels // reduction)
    pixels = x.numpy().astype(np.float64)
    squeezed = pixels.mean((2, 3))
    scale = sigmoid(np.maximum(squeezed @ first.T, 0) @ second.T)
    np.testing.assert_allclose(block(x).detach().numpy(), pixels * scale[:, :, None, None], atol=1e-6)


def test_squeeze_excitation_with_biases() -> None:
    torch.manual_seed(1)
    block, x = SqueezeExcitation(32, 4, bias=True), torch.randn(3, 32, 4, 6) + 0.5
    first, first_bias, second, second_bias = (p.detach().numpy().astype(np.float64) for p in block.parameters())
    assert (first_bias.shape, second_bias.shape) == ((8,), (32,))
    pixels = x.numpy().astype(np.float64)
    scale = sigmoid(np.maximum(pixels.mean((2, 3)) @ first.T + first_bias, 0) @ second.T + second_bias)
    np.testing.assert_allclose(block(x).detach().numpy(), pixels * scale[:, :, None, None], atol=1e-6)
    made = {name: create_attention(name, 64, 8, bias=True) for name in ATTENTIONS}
    assert [sum(p.numel() for p in one.parameters()) for one in made.values()] == [0, 1024 + 8 + 64, 3, 1024 + 98]


@pytest.mark.parametrize(("channels", "kernel"), [(16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_efficient_channel_attention_matches_its_equation(channels: int, kernel: int) -> None:
    block, x = EfficientChannelAttention(channels), torch.randn(3, channels, 4, 6) + 0.5
    weight = block.conv.weight.detach().numpy().astype(np.float64).ravel()
    assert {name: tuple(p.shape) for name, p in block.named_parameters()} == {"conv.weight": (1, 1, kernel)}
    pixels = x.numpy().astype(np.float64)
    padded = np.pad(pixels.mean((2, 3)), ((0, 0), (kernel // 2, kernel // 2)))
    scale = sigmoid(np.stack([padded[:, c : c + kernel] @ weight for c in range(channels)], 1))
    np.testing.assert_allclose(block(x).detach().numpy(), pixels * scale[:, :, None, None], atol=1e-6)


def test_efficient_channel_attention_matches_timm() -> None:
    from timm.layers import EcaModule

    for channels in (64, 128, 512):
        ours, theirs = EfficientChannelAttention(channels), EcaModule(channels)
        theirs.load_state_dict(ours.state_dict())
        x = torch.randn(2, channels, 3, 3)
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("channels", "reduction"), [(32, 16), (24, 4)])
def test_channel_attention_matches_its_equation(channels: int, reduction: int) -> None:
    torch.manual_seed(1)
    block, x = ChannelAttention(channels, reduction), torch.randn(3, channels, 4, 6) + 0.5
    first, second = (p.detach().numpy().astype(np.float64) for p in block.parameters())
    assert first.shape == (channels // reduction, channels)
    pixels = x.numpy().astype(np.float64)
    both = [np.maximum(pooled @ first.T, 0) @ second.T for pooled in (pixels.mean((2, 3)), pixels.max((2, 3)))]
    np.testing.assert_allclose(block(x).detach().numpy(), pixels * sigmoid(sum(both))[:, :, None, None], atol=1e-6)


def test_cbam_applies_channel_then_spatial_attention() -> None:
    torch.manual_seed(2)
    block, x = ConvolutionalAttention(32, 8), torch.randn(2, 32, 6, 6)
    refined = block.channel(x)
    torch.testing.assert_close(block(x), refined * block.spatial.attention(refined))
    assert not torch.allclose(block(x), block.channel(block.spatial(x)))
    shapes = {name: tuple(p.shape) for name, p in block.named_parameters()}
    assert shapes == {
        "channel.reduce.weight": (4, 32), "channel.expand.weight": (32, 4), "spatial.conv.weight": (1, 2, 7, 7)
    }  # fmt: skip


def test_attentions_by_name() -> None:
    made = [create_attention(name, 64, 8) for name in ATTENTIONS]
    kinds = [torch.nn.Identity, SqueezeExcitation, EfficientChannelAttention, ConvolutionalAttention]
    assert [type(one) for one in made] == kinds
    assert [sum(p.numel() for p in one.parameters()) for one in made] == [0, 2 * 64 * 8, 3, 2 * 64 * 8 + 98]
    with pytest.raises(ValueError, match="no attention 'see'; there are none, se, eca, cbam"):
        create_attention("see", 64)


@pytest.mark.parametrize("name", ["spatial", *ATTENTIONS])
def test_attention_is_independent_of_the_batch(name: str) -> None:
    block = SpatialAttention() if name == "spatial" else create_attention(name, 32)
    x: Tensor = torch.randn(4, 32, 6, 6, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(block(x)[2:3], block(x[2:3]))
