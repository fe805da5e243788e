"""VGG: equality with torchvision's, the position of the attention, and the sizes of both papers."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from fercli.models import vgg
from fercli.models.vgg import DEPTHS, HALVINGS, Vgg, build

WIDTHS = (64, 128, 256, 512, 512)
SMALL: dict[str, Any] = {"widths": (32, 32, 64, 64, 64), "depths": (2, 1, 1, 1, 2), "hidden": 32}


def small(attention: str, activation: str = "") -> Vgg:
    torch.manual_seed(0)
    model = build(7, "vgg16", attention, activation, **SMALL).eval()
    assert isinstance(model, Vgg)
    return model


def watch(model: nn.Module, names: list[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the inputs and outputs of modules in the next forward pass."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda _m, given, out, name=name: seen.update({name: (given[0].clone(), out.clone())})
        )
    return seen


def count(**arguments: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(7, **arguments).parameters())


# --- parameters ---


@pytest.mark.parametrize(
    ("backbone", "exact", "millions"), [("vgg16", 39_917_383, 39.92), ("vgg19", 45_227_079, 45.23)]
)
def test_parameters_at_80_px_match_the_paper(backbone: str, exact: int, millions: float) -> None:
    convolutions, inputs = 0, 3
    for depth, width in zip(DEPTHS[backbone], WIDTHS, strict=True):
        for _ in range(depth):
            convolutions += 9 * inputs * width + width
            inputs = width
    linear = sum(a * b + b for a, b in ((2048, 4096), (4096, 4096), (4096, 7)))
    assert convolutions + linear == exact
    assert count(backbone=backbone, activation="elu") == exact
    assert round(exact / 1e6, 2) == millions
    # at 224 px the flattened map is 7 x 7 x 512 instead of 2 x 2 x 512
    assert count(backbone=backbone) == exact + (25_088 - 2048) * 4096


@pytest.mark.parametrize(
    ("attention", "more", "millions"), [("se", 33_312, 39.95), ("eca", 5, 39.92), ("cbam", 32_866, 39.95)]
)
def test_attention_parameters_match_table_7(attention: str, more: int, millions: float) -> None:
    found = count(backbone="vgg16", attention=attention, activation="elu")
    assert found - count(backbone="vgg16", activation="elu") == more
    assert round(found / 1e6, 2) == millions
    per_stage = {
        "se": [2 * c * c // 16 + c // 16 + c for c in WIDTHS],
        "eca": [3, 5, 5, 5, 5],
        "cbam": [2 * c * c // 16 + 98 for c in WIDTHS],
    }[attention]
    assert per_stage[-1] == more
    assert count(backbone="vgg16", attention=attention) - count(backbone="vgg16") == sum(per_stage)


# --- torchvision and timm ---


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "side"), [("vgg16", 224), ("vgg19", 72)])
def test_it_matches_torchvision(backbone: str, side: int) -> None:
    theirs = torchvision.models.get_model(backbone, weights=None, num_classes=7, init_weights=False).eval()
    with torch.device("meta"):
        ours = build(7, backbone).eval()
    state = vgg.rename(theirs.state_dict())
    assert state is not None
    ours.load_state_dict(state, assign=True)
    x = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        expected = theirs(x)
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-6)


def test_it_matches_timm() -> None:
    torch.manual_seed(0)
    widths, depths = (8, 8, 16, 16, 16), (1, 1, 1, 1, 1)
    plan = [part for width in widths for part in (width, "M")]
    theirs = timm.models.vgg.VGG(plan, num_classes=7, mlp_ratio=1 / 64).eval()
    theirs.pre_logits.fc2 = nn.Conv2d(64, 64, 1)  # timm's always has 4096 channels
    theirs.head.fc = nn.Linear(64, 7)
    ours = build(7, "vgg16", widths=widths, depths=depths, hidden=64).eval()
    state = vgg.rename(theirs.state_dict())
    assert state is not None
    ours.load_state_dict(state)
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))
    assert vgg.rename(state) is None


@pytest.mark.parametrize("backbone", ["vgg16", "vgg19"])
def test_names_and_shapes_match_timm_except_for_the_head(backbone: str) -> None:
    with torch.device("meta"):
        state = vgg.rename(timm.create_model(backbone, num_classes=7).state_dict())
        assert state is not None
        theirs = {name: t.shape for name, t in state.items()}
        for attention in HALVINGS:
            ours = {name: t.shape for name, t in build(7, backbone, attention).state_dict().items()}
            assert {name: shape for name, shape in ours.items() if not name.startswith("attention.")} == theirs
        small_form = {name: t.shape for name, t in build(7, backbone, "cbam", "elu").state_dict().items()}
    assert [name for name, shape in theirs.items() if small_form[name] != shape] == ["pre_logits.fc1.weight"]


# --- position of the attention ---


@pytest.mark.parametrize("attention", ["se", "eca", "cbam"])
def test_first_form_has_attention_before_each_max_pool(attention: str) -> None:
    model = small(attention)
    assert isinstance(model.attention[5], nn.Identity)
    pools = [n for n, layer in enumerate(model.features) if isinstance(layer, nn.MaxPool2d)]
    assert len(pools) == 5
    last = [f"features.{pool - 1}" for pool in pools]
    following = [f"features.{pool + 1}" for pool in pools[:-1]]
    seen = watch(model, [*last, *following, *(f"attention.{k}" for k in range(6))])
    model(torch.randn(2, 3, 64, 64))
    for stage in range(5):
        given, weighed = seen[f"attention.{stage}"]
        assert torch.equal(given, seen[last[stage]][1])
        assert (weighed - given).abs().max() > 1e-3
        after = seen[following[stage]][0] if stage < 4 else seen["attention.5"][0]
        assert torch.equal(after, F.max_pool2d(weighed, 2))


@pytest.mark.parametrize("attention", ["se", "eca", "cbam"])
def test_second_form_has_attention_on_the_last_map_only(attention: str) -> None:
    model = small(attention, "elu")
    assert all(isinstance(stage, nn.Identity) for stage in model.attention[:5])
    seen = watch(model, ["attention.4", "attention.5", "pre_logits.fc1"])
    model(torch.randn(2, 3, 80, 80))
    given, weighed = seen["attention.5"]
    assert given.shape == (2, 64, 2, 2)
    assert torch.equal(given, F.max_pool2d(seen["attention.4"][1], 2))
    assert (weighed - given).abs().max() > 1e-3
    assert torch.equal(seen["pre_logits.fc1"][0], weighed.flatten(1))  # no pooling at the paper's size


@pytest.mark.parametrize("activation", ["", "elu"])
def test_initial_attention_does_not_shrink_activations(activation: str) -> None:
    faces = torch.randn(4, 3, 64, 64)
    found = {}
    for attention in HALVINGS:
        model = small(attention, activation)
        seen = watch(model, ["pre_logits.fc1"])
        model(faces)
        found[attention] = seen["pre_logits.fc1"][1].std().item()
    assert all(0.25 < found[name] / found["none"] < 4 for name in ("se", "eca", "cbam")), found


# --- sizes, activations, dropout ---


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (80, (80, 40, 20, 10, 5, 2)),
        (48, (48, 24, 12, 6, 3, 2)),
        (33, (33, 17, 9, 5, 3, 2)),
        (95, (95, 47, 23, 11, 5, 2)),
    ],
)
def test_second_form_flattens_2_x_2_from_33_to_95_px(side: int, sides: tuple[int, ...]) -> None:
    model = small("none", "elu")
    seen = watch(model, [f"attention.{k}" for k in range(6)])
    model(torch.randn(1, 3, side, side))
    assert tuple(seen[f"attention.{k}"][0].shape[2] for k in range(6)) == sides


def test_first_form_rounds_down_like_torchvision() -> None:
    model = small("cbam")
    assert model.forward_features(torch.randn(1, 3, 63, 63)).shape == (1, 64, 1, 1)


@pytest.mark.parametrize("activation", ["", "elu"])
@pytest.mark.parametrize("side", [32, 100, 256])
def test_any_size_fits_the_fully_connected_layers(activation: str, side: int) -> None:
    model = small("cbam", activation)
    seen = watch(model, ["pre_logits.fc1"])
    assert model(torch.randn(1, 3, side, side)).shape == (1, 7)
    assert seen["pre_logits.fc1"][0].shape == (1, 64 * (4 if activation else 49))


@pytest.mark.parametrize(("activation", "kind"), [("", nn.ReLU), ("relu", nn.ReLU), ("elu", nn.ELU), ("selu", nn.SELU)])
def test_every_activation_is_replaced(activation: str, kind: type[nn.Module]) -> None:
    model = small("cbam", activation)
    found = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.ELU | nn.SELU)]
    assert [type(m) for m in found] == [kind] * (sum(SMALL["depths"]) + 2)


def test_only_the_first_form_has_dropout() -> None:
    def rates(model: nn.Module) -> list[float]:
        return [m.p for m in model.modules() if isinstance(m, nn.Dropout)]

    assert rates(small("none")) == [0.5, 0.5]
    assert rates(small("none", "elu")) == [0.0, 0.0]
    assert rates(build(7, "vgg16", activation="elu", dropout=0.3, **SMALL)) == [0.3, 0.3]
