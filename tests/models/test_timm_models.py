"""`timm/<name>`: the specs determined for timm's classifiers."""

from __future__ import annotations

import math

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from fercli.errors import UsageError
from fercli.models.preprocessing import Preprocessing
from fercli.models.pretrained import imagenet_state, load_matching
from fercli.models.registry import create_model, find_model
from fercli.models.spec import IMAGENET_MEAN, IMAGENET_STD
from fercli.models.timm_models import Resize
from fercli.recipes import load_recipe

SMALL = ("test_resnet", "test_convnext", "test_efficientnet", "test_vit", "test_maxvit", "test_vit_relpos")


def on_meta(name: str, side: int) -> torch.Size:
    with torch.device("meta"):
        logits: torch.Tensor = create_model(f"timm/{name}", 5).eval()(torch.empty(2, 3, side, side))
    return logits.shape


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_spec_matches_timm(name: str) -> None:
    spec, config = find_model(f"timm/{name}"), timm.get_pretrained_cfg(name)
    assert config is not None
    plain = timm.create_model(name, num_classes=7)
    assert spec.name == f"timm/{name}"
    assert spec.parameters == sum(p.numel() for p in plain.parameters())
    assert (3, spec.input_size, spec.input_size) == config.input_size
    assert (spec.mean, spec.std) == (config.mean, config.std)
    ours = create_model(spec.name, 7)
    assert list(ours.state_dict()) == list(plain.state_dict())  # so that weights fit
    ours.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, spec.input_size, spec.input_size)
    with torch.inference_mode():  # at its native size the model is unchanged
        torch.testing.assert_close(ours.eval()(image), plain.eval()(image))


@pytest.mark.slow
def test_tag_chooses_the_weights_and_their_normalisation() -> None:
    plain, tagged = (
        find_model("timm/mobilenetv3_large_100"),
        find_model("timm/mobilenetv3_large_100.ra4_e3600_r224_in1k"),
    )
    assert (plain.mean, plain.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert (tagged.mean, tagged.std) == ((0.5,) * 3, (0.5,) * 3)
    assert tagged.imagenet == "mobilenetv3_large_100.ra4_e3600_r224_in1k"
    assert tagged.parameters == plain.parameters


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "no model 'timm/resnet81'; did you mean timm/resnet18.*timm.list_models"),
        ("resnet18.a9_in1k", "timm/resnet18: no weights 'a9_in1k'; did you mean .*a1_in1k"),
        ("resnet18.", "timm/resnet18: no weights ''; there are .*a1_in1k"),
        ("", "no model 'timm/'"),
    ],
)
def test_wrong_names_suggest_similar_ones(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_model(f"timm/{name}")


# --- input sizes ---


@pytest.mark.slow
def test_convolutional_networks_accept_any_size() -> None:
    assert find_model("timm/test_resnet").smallest == 16
    assert [on_meta("test_resnet", side) for side in (16, 17, 101, 160, 333)] == [(2, 5)] * 5


@pytest.mark.slow
def test_transformers_accept_any_size_if_timm_supports_it() -> None:
    assert [on_meta("test_vit", side) for side in (16, 48, 101, 160, 224)] == [(2, 5)] * 5
    model = create_model("timm/test_vit", 5)
    assert not model._forward_pre_hooks  # inputs are not resized: there is a token per patch
    tokens: list[torch.Tensor] = []
    model.blocks.register_forward_hook(lambda _m, _i, out: tokens.append(out))
    model(torch.randn(1, 3, 48, 48))
    assert tokens[0].shape[1] == 1 + (48 // 16) ** 2


@pytest.mark.slow
def test_minimum_size_is_determined() -> None:
    spec = find_model("timm/inception_v3")
    assert spec.smallest == 75
    with pytest.raises(UsageError, match=r"74 px is too small; the minimum is 75 px \(determined by trial\)"):
        Preprocessing.of(spec, 74)
    assert on_meta("inception_v3", 75) == (2, 5)
    with pytest.raises((RuntimeError, ValueError)):
        on_meta("inception_v3", 74)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "multiple"), [("swin_tiny_patch4_window7_224", 4), ("dla34", 32)])
def test_inputs_are_enlarged_to_a_multiple(name: str, multiple: int) -> None:
    assert find_model(f"timm/{name}").arguments["multiple"] == multiple
    assert [on_meta(name, side) for side in (33, 48, 224)] == [(2, 5)] * 3
    seen: list[int] = []
    with torch.device("meta"):
        model = create_model(f"timm/{name}", 5).eval()
        first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
        first.register_forward_hook(lambda _m, i, _o: seen.append(i[0].shape[-1]))
        for side in (48, 97):
            model(torch.empty(1, 3, side, side))
    assert seen == [math.ceil(side / multiple) * multiple for side in (48, 97)]


@pytest.mark.slow
def test_inputs_are_resized_for_models_with_a_fixed_size() -> None:
    spec = find_model("timm/test_vit_relpos")
    assert (spec.arguments["side"], spec.smallest) == (160, 16)
    torch.manual_seed(0)
    model = create_model(spec.name, 7).eval()
    plain = timm.create_model("test_vit_relpos", num_classes=7).eval()
    plain.load_state_dict(model.state_dict())
    for side in (48, 200):
        image = torch.randn(2, 3, side, side)
        resized = F.interpolate(image, (160, 160), mode="bilinear", antialias=side > 160)
        with torch.inference_mode():
            torch.testing.assert_close(model(image), plain(resized))


def test_resize_keeps_matching_sizes() -> None:
    image = torch.randn(1, 3, 64, 64)
    assert Resize(32, 0)(nn.Identity(), (image,))[0] is image
    assert Resize(1, 64)(nn.Identity(), (image,))[0] is image


# --- layers ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("test_resnet", "layer4"),
        ("resnet50", "layer4"),
        ("convnext_tiny", "stages.3"),
        ("test_vit", ""),  # tokens, (B, n, C)
        ("swin_tiny_patch4_window7_224", ""),  # channels last
    ],
)
def test_gradcam_layer(name: str, layer: str) -> None:
    assert find_model(f"timm/{name}").gradcam == layer


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_backbone_is_everything_but_the_classifier(name: str) -> None:
    spec, config = find_model(f"timm/{name}"), timm.get_pretrained_cfg(name)
    assert config is not None
    assert isinstance(config.classifier, str)
    names = [parameter for parameter, _ in create_model(spec.name, 7).named_parameters()]
    left = [parameter for parameter in names if not parameter.startswith(spec.backbone)]
    assert left == [f"{config.classifier}.weight", f"{config.classifier}.bias"]
    assert all(any(parameter.startswith(part) for parameter in names) for part in spec.backbone)


def test_pretrained_weights_fit_except_for_the_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_model("timm/test_vit")
    create = timm.create_model

    def without_network(name: str, pretrained: bool = False) -> nn.Module:
        assert (name, pretrained) == ("test_vit", True)
        return create(name)

    monkeypatch.setattr(timm, "create_model", without_network)
    state = imagenet_state(spec)
    monkeypatch.undo()
    model = create_model(spec.name, 7)
    report = load_matching(model, state)
    assert report.new == ["head.weight", "head.bias"]
    assert torch.equal(model.state_dict()["pos_embed"], state["pos_embed"])


@pytest.mark.slow
def test_models_without_weights_are_rejected() -> None:
    with pytest.raises(UsageError, match="not available for timm/test_maxvit"):
        imagenet_state(find_model("timm/test_maxvit"))


def test_recipe_has_no_claims() -> None:
    recipe = load_recipe(find_model("timm/test_vit").recipe_file)
    assert recipe.claims_of("timm/test_vit") == []
    assert "common practice" in recipe.source
