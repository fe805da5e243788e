"""The landmark network: shapes, parameters, and its bottlenecks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fercli.models.landmark_net import ConvNorm, InvertedResidual, LandmarkNet


def test_shapes_and_parameters() -> None:
    with torch.device("meta"):
        net = LandmarkNet()
        maps = net.eval()(torch.empty(2, 3, 112, 112))
    assert [tuple(m.shape) for m in maps] == [(2, 64, 28, 28), (2, 128, 14, 14), (2, 512, 7, 7)]

    def bottleneck(a: int, b: int, hidden: int) -> int:
        return (a * hidden + 3 * hidden) + (9 * hidden + 3 * hidden) + (hidden * b + 2 * b)  # norms, and slopes of two

    stem = (27 * 64 + 3 * 64) + (9 * 64 + 3 * 64)
    first = bottleneck(64, 64, 128) + 4 * bottleneck(64, 64, 128)
    second = bottleneck(64, 128, 256) + 6 * bottleneck(128, 128, 256)
    third = bottleneck(128, 128, 512) + 2 * bottleneck(128, 128, 256) + (128 * 512 + 3 * 512)
    assert sum(p.numel() for p in net.parameters()) == stem + first + second + third == 911_232


@pytest.mark.parametrize("stride", [1, 2])
def test_bottleneck_is_residual_only_at_stride_1(stride: int) -> None:
    torch.manual_seed(0)
    block, x = InvertedResidual(4, 4, 12, stride).eval(), torch.randn(2, 4, 8, 8)
    assert block.conv_dw.conv.groups == 12
    assert block.project.prelu is None
    with torch.inference_mode():
        nn.init.zeros_(block.project.bn.weight)  # only the shortcut remains
        found = block(x)
    assert torch.equal(found, x if stride == 1 else torch.zeros(2, 4, 4, 4))


def test_norm_comes_before_activation() -> None:
    torch.manual_seed(0)
    block, x = ConvNorm(3, 5, 3, 2).eval(), torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(block(x), block.prelu(block.bn(block.conv(x))))
        assert block(x).min() < 0
    assert block.conv.bias is None
