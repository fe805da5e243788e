"""EmotionNet: the position of its attention, and equality with its ResNet otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fercli.models import emotionnet
from fercli.models.emotionnet import EmotionNet
from fercli.models.registry import find_model

# The module of timm's ResNet before the attention, and its output shape at 64 px.
PLACES = {
    "stem": ("maxpool", (64, 16, 16)),
    "layer1": ("layer1", (64, 16, 16)),
    "layer2": ("layer2", (128, 8, 8)),
    "layer3": ("layer3", (256, 4, 4)),
    "layer4": ("layer4", (512, 2, 2)),
}


def build(place: str) -> tuple[EmotionNet, Tensor]:
    torch.manual_seed(0)
    model = EmotionNet(7, place).eval()
    with torch.no_grad():
        model.attention.conv.weight.mul_(5)  # so that the map is not 0.5 everywhere
    return model, torch.randn(2, 3, 64, 64)


def test_attention_at_options_and_default() -> None:
    assert set(find_model("emotionnet").options["attention_at"]) == set(PLACES)
    assert find_model("emotionnet").check_options({})["attention_at"] == "layer1"


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_attention_follows_the_chosen_part(place: str) -> None:
    model, x = build(place)
    module, shape = PLACES[place]
    seen: dict[str, Tensor] = {}
    net: Any = model.backbone
    following = {"stem": net.layer1, "layer1": net.layer2, "layer2": net.layer3, "layer3": net.layer4}
    getattr(net, module).register_forward_hook(lambda _m, _i, out: seen.update(before=out.clone()))
    model.attention.register_forward_hook(lambda _m, given, out: seen.update(given=given[0].clone(), out=out.clone()))
    following.get(place, net.global_pool).register_forward_pre_hook(
        lambda _m, given: seen.update(after=given[0].clone())
    )
    with torch.inference_mode():
        logits = model(x)
    assert tuple(seen["given"].shape[1:]) == shape
    assert torch.equal(seen["given"], seen["before"])
    assert torch.equal(seen["after"], seen["out"])
    assert (seen["out"] - seen["given"]).abs().max() > 0.01
    with torch.inference_mode():
        assert (logits - model.backbone(x)).abs().max() > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_without_attention_it_equals_resnet18(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = build(place)
    calls = []
    monkeypatch.setattr(model.attention, "attention", lambda y: calls.append(y.shape) or torch.ones_like(y[:, :1]))
    with torch.inference_mode():
        torch.testing.assert_close(model(x), model.backbone(x))
    assert len(calls) == 1


def test_attention_only_adds_its_kernel() -> None:
    own = sum(p.numel() for p in EmotionNet(7).parameters())
    assert own - find_model("resnet18").parameters == 2 * 7 * 7


SMALL: dict[str, Any] = {"widths": (16, 16, 32, 32), "depths": (1, 1, 1, 1)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("backbone", ["resnet50", "resnetv2-50"])
def test_attention_at_in_other_residual_networks(backbone: str, place: str) -> None:
    torch.manual_seed(0)
    model = EmotionNet(7, place, backbone, "elu", **SMALL).eval()
    net: Any = model.backbone
    if backbone == "resnet50":
        parts = {"stem": net.maxpool, **{f"layer{k}": getattr(net, f"layer{k}") for k in range(1, 5)}}
    else:
        parts = {"stem": net.stem, **{f"layer{k + 1}": net.stages[k] for k in range(4)}}
    names = list(parts)
    following = [*list(parts.values())[1:], net.global_pool if backbone == "resnet50" else net.norm]
    seen: dict[str, Tensor] = {}
    parts[place].register_forward_hook(lambda _m, _i, out: seen.update(before=out.clone()))
    model.attention.register_forward_hook(lambda _m, given, out: seen.update(given=given[0].clone(), out=out.clone()))
    following[names.index(place)].register_forward_pre_hook(lambda _m, given: seen.update(after=given[0].clone()))
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        model(x)
    assert torch.equal(seen["given"], seen["before"])
    assert torch.equal(seen["after"], seen["out"])
    assert not torch.equal(seen["out"], seen["given"])


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "resnetv2-50"])
def test_without_attention_it_equals_its_backbone(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = emotionnet.build(7, backbone=backbone, activation="elu", attention_at="layer2", **SMALL).eval()
    assert isinstance(model, EmotionNet)
    monkeypatch.setattr(model.attention, "attention", lambda y: torch.ones_like(y[:, :1]))
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), model.backbone(x))


@pytest.mark.parametrize("backbone", ["resnet18", "resnetv2-50"])
def test_weights_of_the_plain_network_fit(backbone: str) -> None:
    model = emotionnet.build(7, backbone=backbone, **SMALL)
    assert isinstance(model, EmotionNet)
    renamed = emotionnet.rename(model.backbone.state_dict())
    assert renamed is not None
    assert set(model.state_dict()) - set(renamed) == {"attention.conv.weight"}
    assert not set(renamed) - set(model.state_dict())
    assert emotionnet.rename(model.state_dict()) is None
