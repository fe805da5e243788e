"""ResEmoteNet: its parts, one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fercli.models.attention import SqueezeExcitation
from fercli.models.resemotenet import ResEmoteNet, ResidualBlock

SHAPES = {
    "features.0": (64, 32, 32),
    "features.1": (128, 16, 16),
    "features.2": (256, 8, 8),
    "se": (256, 8, 8),
    "blocks.0": (512, 4, 4),
    "blocks.1": (1024, 2, 2),
    "blocks.2": (2048, 1, 1),
    "classifier": (7,),
}


@pytest.fixture(scope="module")
def model() -> ResEmoteNet:
    with torch.device("meta"):
        return ResEmoteNet(7).eval()


def test_shapes_after_each_part(model: ResEmoteNet) -> None:
    found: dict[str, tuple[int, ...]] = {}
    for name in SHAPES:
        model.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: found.update({name: tuple(out.shape[1:])})
        )
    model(torch.empty(2, 3, 64, 64, device="meta"))
    assert list(found.items()) == list(SHAPES.items())  # in this order, too


def test_parameters_add_up(model: ResEmoteNet) -> None:
    def conv(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + outputs + 2 * outputs  # bias, and the norm's scale and shift

    features = conv(3, 64, 3) + conv(64, 128, 3) + conv(128, 256, 3)
    se = 2 * 256 * (256 // 16)
    blocks = sum(conv(c, 2 * c, 3) + conv(2 * c, 2 * c, 3) + conv(c, 2 * c, 1) for c in (256, 512, 1024))
    linear = sum(a * b + b for a, b in ((2048, 1024), (1024, 512), (512, 256), (256, 7)))
    assert features + se + blocks + linear == 80_238_599
    assert sum(p.numel() for p in model.parameters()) == 80_238_599


def test_dropout_lies_where_the_code_of_its_authors_has_it(model: ResEmoteNet) -> None:
    found = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    after_pools = {"features.0.4": 0.2, "features.1.4": 0.2}
    after_linear = {"classifier.2": 0.5, "classifier.5": 0.5, "classifier.8": 0.5}
    assert found == after_pools | after_linear


def test_order_within_the_parts(model: ResEmoteNet) -> None:
    kinds = [type(m) for m in model.features[0]]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout]
    assert [type(m) for m in model.features[2]] == kinds[:-1]
    assert [type(m) for m in model.classifier] == [nn.Linear, nn.ReLU, nn.Dropout] * 3 + [nn.Linear]
    assert isinstance(model.se, SqueezeExcitation)
    assert model.se.reduce.out_features == 16
    assert model.se.reduce.bias is None
    assert model.se.expand.bias is None


def test_residual_block_adds_its_shortcut() -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(4, 6).eval(), torch.randn(2, 4, 8, 8)
    assert (block.conv1.stride, block.conv2.stride, block.shortcut[0].stride) == ((2, 2), (1, 1), (2, 2))
    with torch.inference_mode():
        both = block(x)
        nn.init.zeros_(block.bn2.weight)  # the long way gives nothing now
        torch.testing.assert_close(block(x), torch.relu(block.shortcut(x)))
    assert both.shape == (2, 6, 4, 4)
    assert (both - torch.relu(block.shortcut(x))).abs().max() > 0.01
