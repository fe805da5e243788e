"""Inception v3: equality with torchvision's, and the position of the attention."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from fercli.models import inception
from fercli.models.inception import MIXED, InceptionV3, build

SMALL = {"divisor": 16}


def count(attention: str = "none", activation: str = "") -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(7, attention=attention, activation=activation).parameters())


@pytest.mark.slow
def test_parameters() -> None:
    assert count() == count(activation="elu") == 21_799_911
    channels = [outputs for _, outputs in MIXED.values()]
    squeezed = sum(2 * c * (c // 16) for c in channels)
    assert count("se") - count() == squeezed + sum(c + c // 16 for c in channels) == 1_661_620
    assert count("cbam") - count() == squeezed + 98 * 11 == 1_652_022
    assert count("eca") - count() == 59


@pytest.mark.slow
def test_it_matches_torchvision_without_the_auxiliary_head() -> None:
    theirs = torchvision.models.inception_v3(
        weights=None, num_classes=7, aux_logits=True, transform_input=False, init_weights=False
    ).eval()
    for module in theirs.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)  # with torch's default, activations vanish over so many layers
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
    state = inception.rename(theirs.state_dict())
    assert state is not None
    with torch.device("meta"):
        ours = build(7).eval()
    ours.load_state_dict(state, assign=True)  # strict
    for side in (75, 107):
        x = torch.randn(2, 3, side, side)
        with torch.inference_mode():
            expected = theirs(x)
            assert (expected[0] - expected[1]).abs().max() > 1e-3
            torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-5)
    assert inception.rename(state) is None


@pytest.mark.slow
def test_names_match_timm() -> None:
    with torch.device("meta"):
        theirs = {n: t.shape for n, t in timm.create_model("inception_v3", num_classes=7).state_dict().items()}
        ours = {n: t.shape for n, t in build(7, attention="cbam", activation="elu").state_dict().items()}
    assert {n: shape for n, shape in ours.items() if not n.startswith("attention.")} == theirs


@pytest.mark.parametrize("attention", ["se", "eca", "cbam"])
def test_attention_follows_each_mixed_block(attention: str) -> None:
    torch.manual_seed(0)
    model: Any = build(7, attention=attention, **SMALL).eval()
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    names = [*MIXED, *(f"attention.{name}" for name in MIXED)]
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda _m, given, out, name=name: seen.update({name: (given[0].clone(), out.clone())})
        )
    with torch.inference_mode():
        last = model.forward_features(torch.randn(2, 3, 107, 107))
    assert list(seen) == [part for name in MIXED for part in (name, f"attention.{name}")]  # in this order
    for name, following in zip(MIXED, [*list(MIXED)[1:], None], strict=True):
        given, weighed = seen[f"attention.{name}"]
        assert given.shape[1] == MIXED[name][1] // 16
        assert torch.equal(given, seen[name][1])
        assert not torch.equal(weighed, given)
        assert torch.equal(weighed, seen[following][0] if following else last)


@pytest.mark.parametrize(("activation", "kind"), [("", nn.ReLU), ("elu", nn.ELU), ("selu", nn.SELU)])
def test_every_activation_is_replaced(activation: str, kind: type[nn.Module]) -> None:
    model = build(7, attention="cbam", activation=activation, **SMALL)
    found = [type(m) for m in model.modules() if isinstance(m, nn.ReLU | nn.ELU | nn.SELU)]
    assert found == [kind] * 94


@pytest.mark.slow
def test_minimum_input_size_is_75_px() -> None:
    model = InceptionV3(7, **SMALL).eval()
    with torch.inference_mode():
        assert model.forward_features(torch.randn(1, 3, 75, 75)).shape == (1, 128, 1, 1)
        with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
            model(torch.randn(1, 3, 74, 74))
    with torch.device("meta"):
        assert InceptionV3(7).eval().forward_features(torch.empty(1, 3, 299, 299)).shape == (1, 2048, 8, 8)


def test_unknown_backbone_is_rejected() -> None:
    with pytest.raises(ValueError, match="no backbone 'inception-v4'; there is inception-v3"):
        build(7, "inception-v4")
