"""IR-50: shapes, parameters, and layer order of its units."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fercli.models.ir50 import IR50, ImprovedResidualUnit


def test_shapes_and_parameters() -> None:
    with torch.device("meta"):
        net = IR50()
        maps = net.eval()(torch.empty(2, 3, 112, 112))
    assert [tuple(m.shape) for m in maps] == [(2, 64, 56, 56), (2, 128, 28, 28), (2, 256, 14, 14)]

    def unit(a: int, b: int) -> int:
        convolutions = 9 * a * b + 9 * b * b + (a * b if a != b else 0)
        norms = 2 * a + 2 * b + (2 * b if a != b else 0)
        return convolutions + norms + b  # and the PReLU's slopes

    stem = 27 * 64 + 2 * 64 + 64
    units = 3 * unit(64, 64) + unit(64, 128) + 3 * unit(128, 128) + unit(128, 256) + 13 * unit(256, 256)
    assert sum(p.numel() for p in net.parameters()) == stem + units == 17_611_968


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 1), (4, 4, 2), (4, 6, 2)])
def test_unit_adds_its_shortcut_without_activation(inputs: int, outputs: int, stride: int) -> None:
    torch.manual_seed(0)
    unit, x = ImprovedResidualUnit(inputs, outputs, stride).eval(), torch.randn(2, inputs, 8, 8)
    kinds = [type(m) for m in unit.res_layer]
    assert kinds == [nn.BatchNorm2d, nn.Conv2d, nn.PReLU, nn.Conv2d, nn.BatchNorm2d]
    assert [m.stride for m in unit.res_layer if isinstance(m, nn.Conv2d)] == [(1, 1), (stride, stride)]
    with torch.inference_mode():
        both = unit(x)
        nn.init.zeros_(unit.res_layer[-1].weight)  # disables the residual branch
        short = unit(x)
    assert both.shape == (2, outputs, 8 // stride, 8 // stride)
    assert (both - short).abs().max() > 0.01
    assert short.min() < 0
    if inputs == outputs:
        assert torch.equal(short, x[:, :, ::stride, ::stride])


def test_first_unit_of_each_stage_has_stride_2() -> None:
    with torch.device("meta"):
        net = IR50()
    strides = [[u.res_layer[3].stride[0] for u in stage] for stage in (net.body1, net.body2, net.body3)]
    assert strides == [[2] + [1] * 2, [2] + [1] * 3, [2] + [1] * 13]
