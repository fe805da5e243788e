"""Grad-CAM matches captum's, on a small network and on every built-in model."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fercli.errors import UsageError
from fercli.explanation.gradcam import grad_cam, normalise, upsample
from fercli.models.registry import create_model
from fercli.models.spec import ModelSpec
from fercli.models.table import TABLE
from tests.helpers.models import Member, each_member

CLASSES = 3
EMOTIONS = torch.tensor([0, 1, 2, 1, 0])


class Small(nn.Module):
    """Two convolutions, in-place activations, a mean and a linear layer; and layers that cannot be explained."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 6, 3, stride=2)
        self.last = nn.Identity()
        self.drop = nn.Dropout(0.5)
        self.aside = nn.Conv2d(4, 1, 1)
        self.unused = nn.Conv2d(4, 1, 1)
        self.classifier = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        self.aside(x)
        x = self.last(self.relu(self.second(x)))
        return self.classifier(self.drop(x.mean((2, 3))))


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    model = Small()
    model.norm.running_mean.normal_(std=0.3)
    return model.eval()


def faces(count: int = 5, channels: int = 1, side: int = 12) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def captum_maps(model: nn.Module, layer: str, x: Tensor, emotions: Tensor) -> Tensor:
    found = LayerGradCam(model, model.get_submodule(layer)).attribute(x, emotions, relu_attributions=True)
    return found[:, 0].detach()


# --- maps ---


@pytest.mark.parametrize("layer", ["first", "norm", "second", "last"])
def test_maps_match_captum(model: Small, layer: str) -> None:
    x = faces()
    maps, logits, explained = grad_cam(model, layer, x, EMOTIONS)
    assert torch.equal(maps, captum_maps(model, layer, x, EMOTIONS))
    assert (maps > 0).any()
    assert torch.equal(explained, EMOTIONS)
    assert torch.equal(logits, model(x))
    maps, logits, explained = grad_cam(model, layer, x)
    assert torch.equal(explained, logits.argmax(1))
    assert torch.equal(maps, captum_maps(model, layer, x, explained))


@pytest.mark.slow
@each_member
def test_maps_of_every_model_match_captum(member: Member) -> None:
    if not member.spec.gradcam:
        pytest.skip("no layer for Grad-CAM")
    torch.manual_seed(1)
    spec, model = member.spec, member.build(CLASSES).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.add_(0.5)  # some models start a branch at zero
    x = faces(2, spec.channels, member.preprocessing.input_size)
    for emotions in (torch.tensor([0, 1]), torch.tensor([1, 2]), torch.tensor([2, 0])):
        maps, _, _ = grad_cam(model, spec.gradcam, x, emotions)
        # Without parameter gradients other kernels may run: equal up to rounding.
        torch.testing.assert_close(maps, captum_maps(model, spec.gradcam, x, emotions), rtol=1e-4, atol=1e-6)
        if (maps > 0).any():
            return
    pytest.fail("no map with any heat: nothing was compared")


@pytest.mark.slow
@pytest.mark.parametrize("spec", [spec for spec in TABLE if spec.gradcam], ids=lambda spec: spec.name)
def test_maps_have_at_least_4x4_cells_with_any_option(spec: ModelSpec) -> None:
    with torch.device("meta"):
        for values in itertools.product(*spec.options.values()):
            model = create_model(spec.name, CLASSES, **dict(zip(spec.options, values, strict=True)))
            x = torch.zeros(2, spec.channels, spec.input_size, spec.input_size)
            maps, _, _ = grad_cam(model, spec.gradcam, x)
            assert maps.shape[1] == maps.shape[2] >= 4


def test_before_global_average_and_linear_layer_it_equals_cam(model: Small) -> None:
    # Up to the factor 1 / (h w) (Selvaraju et al. 2017, section 3.1).
    x = faces()
    features = F.relu(model.second(F.relu(model.norm(model.first(x)))))
    cam = torch.einsum("bchw,c->bhw", features, model.classifier.weight[2]).relu() / features[0, 0].numel()
    maps, _, _ = grad_cam(model, "last", x, torch.full((5,), 2))
    torch.testing.assert_close(maps, cam.detach())


def test_faces_of_a_batch_are_independent(model: Small) -> None:
    x = faces()
    maps, _, _ = grad_cam(model, "second", x, EMOTIONS)
    for number in range(5):
        alone, _, _ = grad_cam(model, "second", x[number : number + 1], EMOTIONS[number : number + 1])
        torch.testing.assert_close(alone[0], maps[number])


# --- the model is restored ---


def state_of(model: nn.Module) -> tuple[object, ...]:
    return (
        [len(module._forward_hooks) for module in model.modules()],
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [parameter.grad for parameter in model.parameters()],
    )


@pytest.mark.parametrize("layer", ["second", "classifier", "unused", "aside", "relu", "nowhere"])
def test_model_is_restored(model: Small, layer: str) -> None:
    model.train()
    model.norm.eval()
    model.first.weight.requires_grad_(False)
    before, values = state_of(model), [tensor.clone() for tensor in model.state_dict().values()]
    if layer == "second":
        grad_cam(model, layer, faces())
    else:
        with pytest.raises(UsageError):
            grad_cam(model, layer, faces())
    assert state_of(model) == before
    assert all(torch.equal(a, b) for a, b in zip(values, model.state_dict().values(), strict=True))


def test_hooks_are_removed_on_error(model: Small) -> None:
    before = state_of(model)
    with pytest.raises(RuntimeError):
        grad_cam(model, "second", faces(channels=2))
    with pytest.raises((IndexError, RuntimeError)):
        grad_cam(model, "second", faces(), torch.full((5,), 9))
    assert state_of(model) == before


def test_it_works_under_no_grad(model: Small) -> None:
    with torch.no_grad():
        maps, _, _ = grad_cam(model, "second", faces(), EMOTIONS)
    assert not maps.requires_grad
    assert torch.equal(maps, captum_maps(model, "second", faces(), EMOTIONS))


# --- layers that cannot be explained ---


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("secnd", r"no layer 'secnd'; did you mean second\?"),
        ("", "no layer ''"),
        ("classifier", r"layer 'classifier' returns a tensor of \(5, 3\), not maps"),
        ("drop", r"layer 'drop' returns a tensor of \(5, 6\), not maps"),
        ("unused", "layer 'unused' runs 0 times per forward pass"),
        ("relu", "layer 'relu' runs 2 times per forward pass"),
        ("aside", "layer 'aside' does not affect the logits"),
    ],
)
def test_unsuitable_layers_are_rejected(model: Small, layer: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        grad_cam(model, layer, faces())


def test_layer_that_returns_a_tuple_is_rejected() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()

        def forward(self, x: Tensor) -> Tensor:
            return self.pair(x)[0].mean((2, 3))

    with pytest.raises(UsageError, match="layer 'pair' returns no tensor, not maps"):
        grad_cam(Outer(), "pair", faces())


# --- scaling ---


def test_without_positive_evidence_the_map_is_zero(model: Small) -> None:
    with torch.no_grad():
        model.classifier.weight[1].fill_(-1.0)  # features after a ReLU are then only evidence against it
    found, _, _ = grad_cam(model, "last", faces(), torch.full((5,), 1))
    assert (found == 0).all()
    assert (normalise(upsample(found, 12)) == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(9, 40), st.integers(0, 1000), st.sampled_from([1e-30, 1e-6, 1.0, 1e9]))
def test_heat_is_normalised_per_face(side: int, size: int, seed: int, scale: float) -> None:
    maps = torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)) * scale
    maps[1] = 0
    heat = upsample(maps, size)
    assert heat.shape == (3, size, size)
    assert heat.min() >= 0
    assert heat.max() <= maps.max() * (1 + 1e-6)
    strength = normalise(heat)
    assert torch.isfinite(strength).all()
    assert strength.amax((1, 2)).tolist() == pytest.approx([1, 0, 1])
    torch.testing.assert_close(strength[0] * heat[0].max(), heat[0])
