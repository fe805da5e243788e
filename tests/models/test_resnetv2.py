"""Pre-activation ResNets: the equation of their block, and the position of the attention in it."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from fercli.models import resnetv2
from fercli.models.resnetv2 import build

SMALL: dict[str, Any] = {"widths": (32, 64, 64, 128), "depths": (1, 2, 1, 1)}
PLAIN = {"resnetv2-50": 23_514_695, "resnetv2-101": 42_506_823, "resnetv2-152": 58_150_471}


def count(backbone: str, **arguments: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(7, backbone, **arguments).parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "eca"), [("resnetv2-50", 86), ("resnetv2-101", 171), ("resnetv2-152", 256)])
def test_parameters(backbone: str, eca: int) -> None:
    assert count(backbone) == count(backbone, activation="elu") == PLAIN[backbone]
    assert count(backbone, attention="eca") - PLAIN[backbone] == eca


@pytest.mark.slow
def test_attention_parameters_match_table_7() -> None:
    assert count("resnetv2-50", attention="se") - PLAIN["resnetv2-50"] == 2_530_992
    assert count("resnetv2-50", attention="cbam") - PLAIN["resnetv2-50"] == 2_516_512


def batch_norm(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


@pytest.mark.parametrize("attention", ["none", "se", "eca", "cbam"])
def test_block_matches_its_equation(attention: str) -> None:
    """He et al. 2016b, figure 1b: norm and activation before each convolution, nothing after the sum."""
    torch.manual_seed(0)
    model: Any = build(7, "resnetv2-50", attention, "elu", **SMALL).eval()
    x = torch.randn(2, 32, 9, 9)
    block = model.stages[1].blocks[0]
    for norm in (block.norm1, block.norm2, block.norm3):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.running_mean)
    before = F.elu(batch_norm(x, block.norm1))
    y = F.conv2d(before, block.conv1.weight)
    y = F.conv2d(F.elu(batch_norm(y, block.norm2)), block.conv2.weight, stride=2, padding=1)
    y = F.conv2d(F.elu(batch_norm(y, block.norm3)), block.conv3.weight)
    weighed = block.drop_path(y)
    assert (attention == "none") == torch.equal(weighed, y)
    shortcut = F.conv2d(before, block.downsample.conv.weight, stride=2)
    torch.testing.assert_close(block(x), weighed + shortcut)
    second = model.stages[1].blocks[1]
    assert second.downsample is None
    z = torch.randn(2, 64, 5, 5)
    y = second.conv3(second.norm3(second.conv2(second.norm2(second.conv1(second.norm1(z))))))
    torch.testing.assert_close(second(z), second.drop_path(y) + z)


@pytest.mark.parametrize("attention", ["se", "cbam"])
def test_every_block_has_attention(attention: str) -> None:
    model: Any = build(7, "resnetv2-50", attention, **SMALL)
    kinds = [type(block.drop_path).__name__ for stage in model.stages for block in stage.blocks]
    assert kinds == [{"se": "SqueezeExcitation", "cbam": "ConvolutionalAttention"}[attention]] * 5


@pytest.mark.parametrize(("activation", "kind"), [("", nn.ReLU), ("relu", nn.ReLU), ("elu", nn.ELU), ("selu", nn.SELU)])
def test_every_activation_is_replaced(activation: str, kind: type[nn.Module]) -> None:
    model = build(7, "resnetv2-50", "cbam", activation, **SMALL)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 3 * 5 + 1  # the last one is before the pooling
    assert all(isinstance(norm, BatchNormAct2d) and type(norm.act) is kind for norm in norms)
    assert {type(m) for m in model.modules() if isinstance(m, nn.ReLU | nn.ELU | nn.SELU)} == {kind}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", PLAIN)
def test_names_match_timm(backbone: str) -> None:
    with torch.device("meta"):
        theirs = {
            n: t.shape for n, t in timm.create_model(backbone.replace("-", "_"), num_classes=7).state_dict().items()
        }
        ours = {n: t.shape for n, t in build(7, backbone, "cbam", "elu").state_dict().items()}
    assert theirs.pop("head.fc.weight") == (7, 2048, 1, 1)
    assert ours.pop("head.fc.weight") == (7, 2048)
    assert {n: shape for n, shape in ours.items() if ".drop_path." not in n} == theirs


def test_it_matches_timm() -> None:
    torch.manual_seed(0)
    sizes = {"channels": SMALL["widths"], "layers": SMALL["depths"]}
    theirs = timm.create_model("resnetv2_50", num_classes=7, **sizes).eval()
    state = resnetv2.rename(theirs.state_dict())
    assert state is not None
    ours = build(7, "resnetv2-50", **SMALL).eval()
    ours.load_state_dict(state)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = theirs(x)
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours(x), expected)
    assert resnetv2.rename(state) is None
