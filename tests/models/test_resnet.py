"""ResNets: equality with torchvision's, and the position of the attention in their blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from fercli.models.resnet import build

SMALL: dict[str, Any] = {"widths": (16, 16, 32, 32), "depths": (1, 2, 1, 1)}
PLAIN = {
    "resnet18": 11_180_103,
    "resnet34": 21_288_263,
    "resnet50": 23_522_375,
    "resnet101": 42_514_503,
    "resnet152": 58_158_151,
}


def count(backbone: str, **arguments: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(7, backbone, **arguments).parameters())


def lively(model: nn.Module) -> nn.Module:
    """Randomise norm weights: timm initialises the last one of each block with zero."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", PLAIN)
def test_plain_parameters(backbone: str) -> None:
    assert count(backbone) == count(backbone, activation="elu") == PLAIN[backbone]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "se", "cbam", "eca"),
    [("resnet50", 2_530_992, 2_516_512, 86), ("resnet101", 4_777_712, 4_746_402, 171), ("resnet152", None, None, 256)],
)
def test_attention_parameters(backbone: str, se: int | None, cbam: int | None, eca: int) -> None:
    blocks = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}[backbone]
    channels = [c for c, blocks_ in zip((256, 512, 1024, 2048), blocks, strict=True) for _ in range(blocks_)]
    squeezed = sum(2 * c * c // 16 for c in channels)
    expected = {
        "se": squeezed + sum(c + c // 16 for c in channels),
        "cbam": squeezed + 98 * len(channels),
        "eca": sum({256: 5, 512: 5, 1024: 5, 2048: 7}[c] for c in channels),
    }
    assert expected["eca"] == eca
    assert (se, cbam) in ((expected["se"], expected["cbam"]), (None, None))
    for attention, more in expected.items():
        assert count(backbone, attention=attention) - PLAIN[backbone] == more


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_it_matches_torchvision(backbone: str) -> None:
    theirs = lively(torchvision.models.get_model(backbone, weights=None, num_classes=7))
    with torch.device("meta"):
        ours = build(7, backbone).eval()
    ours.load_state_dict(theirs.state_dict(), assign=True)
    x = torch.randn(2, 3, 80, 80)
    with torch.inference_mode():
        expected = theirs(x)
        assert expected.std() > 0.1
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("attention", ["se", "eca", "cbam"])
def test_attention_is_before_the_sum(backbone: str, attention: str) -> None:
    torch.manual_seed(0)
    model: Any = lively(build(7, backbone, attention, "elu", **SMALL))
    blocks = [block for k in range(1, 5) for block in getattr(model, f"layer{k}")]
    assert len(blocks) == 5
    norm = "bn2" if backbone == "resnet18" else "bn3"
    seen: list[dict[str, Tensor]] = [{} for _ in blocks]
    for block, found in zip(blocks, seen, strict=True):
        block.register_forward_hook(lambda _m, i, o, found=found: found.update(block=i[0].clone(), out=o.clone()))
        getattr(block, norm).register_forward_hook(lambda _m, _i, o, found=found: found.update(norm=o.clone()))
        block.se.register_forward_hook(lambda _m, i, o, found=found: found.update(se=i[0].clone(), weighed=o.clone()))
    with torch.inference_mode():
        model(torch.randn(2, 3, 64, 64))
        for block, found in zip(blocks, seen, strict=True):
            shortcut = found["block"] if block.downsample is None else block.downsample(found["block"])
            assert torch.equal(found["se"], found["norm"])
            assert (found["weighed"] - found["se"]).abs().max() > 1e-3
            torch.testing.assert_close(found["out"], F.elu(found["weighed"] + shortcut))


@pytest.mark.parametrize(("activation", "kind"), [("", nn.ReLU), ("relu", nn.ReLU), ("elu", nn.ELU), ("selu", nn.SELU)])
def test_every_activation_is_replaced(activation: str, kind: type[nn.Module]) -> None:
    for backbone, of_a_block in (("resnet18", 2), ("resnet50", 3)):
        model = build(7, backbone, "cbam", activation, **SMALL)
        found = [type(m) for m in model.modules() if isinstance(m, nn.ReLU | nn.ELU | nn.SELU)]
        assert found == [kind] * (1 + of_a_block * 5)


def test_attention_does_not_rename_published_parameters() -> None:
    with torch.device("meta"):
        plain, weighed = (set(build(7, "resnet50", attention).state_dict()) for attention in ("none", "cbam"))
    assert plain == {name for name in weighed if ".se." not in name}
