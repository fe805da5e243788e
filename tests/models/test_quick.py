"""quick and quick-vgg: defaults, sizes and the position of the attention."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fercli.models.attention import SqueezeExcitation
from fercli.models.quick import Block, QuickVgg, build, build_vgg
from fercli.models.registry import find_model


def test_parameter_names_that_checkpoints_depend_on() -> None:
    state = build(7).state_dict()
    assert len(state) == 56
    assert list(state)[:2] == ["stem.0.weight", "stem.1.weight"]
    assert {name.split(".")[0] for name in state} == {"stem", "stages", "classifier"}
    assert {name.split(".")[2] for name in state if name.startswith("stages")} == {"conv1", "conv2", "shortcut"}
    assert state["stem.0.weight"].shape == (32, 1, 3, 3)
    assert state["stem.3.weight"].shape == (64, 32, 3, 3)
    assert find_model("quick").check_options({}) == {"attention": "none", "reduced": False}


@pytest.mark.parametrize("stride", [1, 2])
def test_attention_precedes_the_sum(stride: int) -> None:
    torch.manual_seed(0)
    block = Block(16, 32, stride, "se").eval()
    nn.init.ones_(block.conv2[1].weight)
    assert isinstance(block.attention, SqueezeExcitation)
    assert block.attention.reduce.weight.shape == (4, 32)
    x = torch.randn(2, 16, 6, 6)
    branch = block.conv2(F.relu(block.conv1(x)))
    torch.testing.assert_close(block(x), F.relu(block.attention(branch) + block.shortcut(x)))
    assert not torch.allclose(block(x), F.relu(branch + block.shortcut(x)))


@pytest.mark.parametrize("side", [8, 17, 30, 48, 50])
@pytest.mark.parametrize("options", [{}, {"attention": "cbam"}])
def test_any_input_size(side: int, options: dict[str, str]) -> None:
    assert build(7, **options).eval()(torch.randn(2, 1, side, side)).shape == (2, 7)
    assert build_vgg(7).eval()(torch.randn(2, 1, side, side)).shape == (2, 7)


def test_stem_has_stride_4() -> None:
    assert build(7).stem(torch.randn(1, 1, 48, 48)).shape == (1, 64, 12, 12)


def test_vgg_is_plain() -> None:
    net = build_vgg(7)
    assert isinstance(net, QuickVgg)
    kinds = [type(layer).__name__ for layer in net.features]
    assert kinds.count("Conv2d") == kinds.count("BatchNorm2d") == kinds.count("ReLU") == 6
    assert kinds.count("MaxPool2d") == 3
    assert net.features(torch.randn(1, 1, 48, 48)).shape == (1, 256, 6, 6)
