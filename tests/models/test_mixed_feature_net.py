"""MixedFeatureNet: sizes, mixed kernels, coordinate attention against its equations, and its bottlenecks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.mixed_feature_net import CoordinateAttention, MixConv, MixedBottleneck, MixedFeatureNet
from tests.helpers.models import shapes_of

SHAPES = {
    "conv1": (64, 56, 56),
    "conv2_dw": (64, 56, 56),
    "conv_23": (64, 28, 28),
    "conv_3": (64, 28, 28),
    "conv_34": (128, 14, 14),
    "conv_4": (128, 14, 14),
    "conv_45": (256, 7, 7),
    "conv_5": (256, 7, 7),
    "conv_6_sep": (512, 7, 7),
}
KERNELS = {
    "conv_23": {3: 64, 5: 32, 7: 32},
    "conv_3.model.8": {3: 96, 5: 32},
    "conv_34": {3: 128, 5: 64, 7: 64},
    "conv_4.model.15": {3: 192, 5: 64},
    "conv_45": {3: 256, 5: 256, 7: 256, 9: 256},
    "conv_5.model.5": {3: 172, 5: 170, 7: 170},
}
"""Channels of each kernel in the authors' code."""


@pytest.fixture(scope="module")
def whole() -> MixedFeatureNet:
    with torch.device("meta"):
        return MixedFeatureNet().eval()


def test_shapes(whole: MixedFeatureNet) -> None:
    assert shapes_of(whole, 112, SHAPES) == SHAPES
    assert [name for name, _ in whole.named_children()] == list(SHAPES)
    assert [len(part.model) for part in (whole.conv_3, whole.conv_4, whole.conv_5)] == [9, 16, 6]


def test_channels_of_each_kernel(whole: MixedFeatureNet) -> None:
    for name, expected in KERNELS.items():
        convolutions = whole.get_submodule(f"{name}.conv_dw")
        assert {conv.kernel_size[0]: conv.out_channels for conv in convolutions} == expected
        assert all(conv.groups == conv.in_channels and conv.bias is None for conv in convolutions)


def test_number_of_parameters(whole: MixedFeatureNet) -> None:
    def attention(c: int) -> int:
        hidden = max(8, c // 32)
        return c * hidden + hidden + 2 * hidden + 2 * (hidden * c + c)

    def bottleneck(a: int, b: int, kernels: dict[int, int]) -> int:
        hidden = sum(kernels.values())
        mixed = sum(side * side * count for side, count in kernels.items())
        return a * hidden + 3 * hidden + mixed + attention(hidden) + hidden * b + 2 * b

    k = KERNELS
    total = 27 * 64 + 3 * 64 + 9 * 64 + 3 * 64
    total += bottleneck(64, 64, k["conv_23"]) + 9 * bottleneck(64, 64, k["conv_3.model.8"])
    total += bottleneck(64, 128, k["conv_34"]) + 16 * bottleneck(128, 128, k["conv_4.model.15"])
    total += bottleneck(128, 256, k["conv_45"]) + 6 * bottleneck(256, 256, k["conv_5.model.5"])
    total += 256 * 512 + 3 * 512
    assert sum(p.numel() for p in whole.parameters()) == total == 4_006_568


@pytest.mark.parametrize("stride", [1, 2])
def test_mixconv_applies_each_kernel_to_its_channels(stride: int) -> None:
    torch.manual_seed(0)
    mixed, x = MixConv(8, ((3, 2), (5, 1), (7, 1)), stride), torch.randn(2, 8, 6, 6)
    sides = [3] * 4 + [5] * 2 + [7] * 2
    weights = [kernel for conv in mixed for kernel in conv.weight]
    expected = [F.conv2d(x[:, [c]], weights[c][None], stride=stride, padding=side // 2) for c, side in enumerate(sides)]
    torch.testing.assert_close(mixed(x), torch.cat(expected, 1))


def reference(attention: CoordinateAttention, x: Tensor) -> np.ndarray:
    """Compute coordinate attention of one image (C, H, W) by loops over the positions, in evaluation."""
    state = {name: tensor.double().numpy() for name, tensor in attention.state_dict().items()}
    image = x.double().numpy()

    def embed(vector: np.ndarray) -> np.ndarray:
        y = state["conv1.weight"][:, :, 0, 0] @ vector + state["conv1.bias"]
        y = (y - state["bn1.running_mean"]) / np.sqrt(state["bn1.running_var"] + 1e-5)
        y = y * state["bn1.weight"] + state["bn1.bias"]
        return y * np.clip(y + 3, 0, 6) / 6  # h-swish

    def weigh(name: str, vector: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(state[f"{name}.weight"][:, :, 0, 0] @ embed(vector) + state[f"{name}.bias"])))

    out = np.empty_like(image)
    for row in range(image.shape[1]):
        for column in range(image.shape[2]):
            by_row = weigh("conv2", image[:, row].mean(1))
            by_column = weigh("conv3", image[:, :, column].mean(1))
            out[:, row, column] = image[:, row, column] * by_row * by_column
    return out


def test_coordinate_attention_matches_its_equations() -> None:
    torch.manual_seed(0)
    attention, x = CoordinateAttention(16).eval(), torch.randn(2, 16, 3, 5)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
        attention.bn1.running_mean.normal_()
        attention.bn1.running_var.uniform_(0.5, 2)
        found = attention(x)
    for k in range(2):
        np.testing.assert_allclose(found[k].numpy(), reference(attention, x[k]), atol=1e-5)
    assert attention.conv1.out_channels == 8  # at least
    assert CoordinateAttention(512).conv1.out_channels == 16


@pytest.mark.parametrize("stride", [1, 2])
def test_bottleneck_is_residual_only_at_stride_1(stride: int) -> None:
    torch.manual_seed(0)
    block, x = MixedBottleneck(4, 4, 8, ((3, 1), (5, 1)), stride).eval(), torch.randn(2, 4, 8, 8)
    with torch.inference_mode():
        inner = block.attention(block.conv_dw(block.conv(x)))  # nothing between MixConv and attention
        expected = block.project.bn(block.project.conv(inner))
        torch.testing.assert_close(block(x), x + expected if stride == 1 else expected)
        nn.init.zeros_(block.project.bn.weight)  # only the shortcut remains
        assert torch.equal(block(x), x if stride == 1 else torch.zeros(2, 4, 4, 4))
