"""Composed model names: what they mean, and messages for wrong ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.errors import UsageError
from fercli.models.naming import ACTIVATIONS, ATTENTIONS, BACKBONES, impossible, parse
from fercli.models.registry import MODELS, find_model


@pytest.mark.parametrize(
    ("name", "backbone", "attention", "activation", "paper", "side"),
    [
        ("vgg19-cbam", "vgg19", "cbam", "", "ResNet50-CBAM", 224),
        ("resnet50-cbam", "resnet50", "cbam", "", "ResNet50-CBAM", 224),
        ("inception-v3-cbam", "inception-v3", "cbam", "", "ResNet50-CBAM", 299),
        ("vgg19-cbam-elu", "vgg19", "cbam", "elu", "Attention + ELU", 80),
        ("resnetv2-101-eca-elu", "resnetv2-101", "eca", "elu", "Attention + ELU", 80),
        ("resnet152-selu", "resnet152", "none", "selu", "Attention + ELU", 80),
        ("resnetv2-50", "resnetv2-50", "none", "", "Attention + ELU", 224),
    ],
)
def test_composed_names(name: str, backbone: str, attention: str, activation: str, paper: str, side: int) -> None:
    spec = find_model(name)
    assert spec.arguments == {"backbone": backbone, "attention": attention, "activation": activation}
    assert (spec.name, spec.paper, spec.input_size) == (name, paper, side)


def test_sa_is_emotionnet() -> None:
    spec = find_model("resnet50-sa")
    assert spec.build == find_model("emotionnet").build
    assert spec.options == find_model("emotionnet").options
    assert spec.arguments == {"backbone": "resnet50", "activation": ""}


@settings(max_examples=200)
@given(
    st.sampled_from(BACKBONES),
    st.lists(st.sampled_from([*ATTENTIONS[1:], *ACTIVATIONS[1:], "", "x", "50"]), max_size=3),
)
def test_composed_names_are_models_or_rejected(backbone: object, parts: list[str]) -> None:
    name = "-".join([backbone.name, *parts])  # type: ignore[attr-defined]
    try:
        found = parse(name)
    except UsageError:
        assert name not in {spec.name for spec in MODELS}
    else:
        assert found is not None
        assert found == find_model(name)
        assert found in MODELS


@pytest.mark.parametrize("name", ["quick", "vgg", "resnet", "resnet180", "resnetv2", "inception", "", "-cbam"])
def test_other_names_are_not_parsed(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vgg19-cbm", "model vgg19-cbm: no attention or activation 'cbm'; did you mean cbam"),
        ("vgg19-elu-cbam", "no model 'vgg19-elu-cbam'; the attention comes before the activation: vgg19-cbam-elu"),
        ("resnet50-se-eca", "at most one attention and one activation, as in resnet50-cbam-elu"),
        ("resnet50-elu-elu", "at most one attention and one activation"),
        ("vgg16-sa", "model vgg16-sa: sa follows a stage of a residual network, and vgg16 has none"),
        ("inception-v3-sa-elu", "inception-v3 has none; inception-v3-cbam has spatial and channel attention"),
        ("resnet50-", "no attention or activation ''"),
        ("resnet51", "no model 'resnet51'; did you mean resnet5"),
        ("resnetv2-18", "no model 'resnetv2-18'; did you mean resnetv2-1"),
    ],
)
def test_wrong_names_give_reasons(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_model(name)


def test_all_combinations_are_listed() -> None:
    names = {spec.name for spec in MODELS}
    for backbone in BACKBONES:
        for attention in ATTENTIONS:
            for activation in ACTIVATIONS:
                name = "-".join(filter(None, (backbone.name, attention, activation)))
                assert (name in names) == (not impossible(backbone, attention))
