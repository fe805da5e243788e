"""The probe: what is frozen, its head, and the specs of the probes of timm's encoders."""

from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from fercli.errors import UsageError
from fercli.models.preprocessing import Preprocessing
from fercli.models.probe import HIDDEN, FeaturePreprocessing, Probe
from fercli.models.registry import create_model, find_declared, find_model
from fercli.models.timm_models import timm_spec


@pytest.fixture
def probe() -> Probe:
    torch.manual_seed(0)
    model = create_model("probe/test_resnet", 7)
    assert isinstance(model, Probe)
    return model


def test_head_is_that_of_mae(probe: Probe) -> None:
    features = torch.randn(6, 96) * 3 + 1
    norm = F.batch_norm(features, None, None, training=True)  # without affine parameters
    expected = F.linear(norm, probe.head.classifier.weight, probe.head.classifier.bias)
    torch.testing.assert_close(probe.train().head(features), expected)
    assert [name for name, _ in probe.head.named_parameters()] == ["classifier.weight", "classifier.bias"]


def test_hidden_layer() -> None:
    head = create_model("probe/test_resnet", 7, head="mlp").get_submodule("head")
    shapes = {name: tuple(parameter.shape) for name, parameter in head.named_parameters() if "weight" in name}
    assert shapes == {"hidden.weight": (HIDDEN, 96), "classifier.weight": (7, HIDDEN)}
    assert any(isinstance(module, nn.Dropout) and module.p > 0 for module in head.modules())


def test_encoder_stays_in_evaluation_mode(probe: Probe) -> None:
    x = torch.randn(4, 3, 64, 64)
    before = {name: tensor.clone() for name, tensor in probe.encoder.state_dict().items()}
    first = probe.encoder(x)
    probe.train()
    assert probe.head.training
    torch.testing.assert_close(probe.train().encoder(x), first, rtol=0, atol=0)
    probe(x)
    assert all(torch.equal(tensor, before[name]) for name, tensor in probe.encoder.state_dict().items())


def test_probe_of_features_shares_the_head(probe: Probe) -> None:
    x, small = torch.randn(4, 3, 64, 64), probe.without_encoder()
    assert {f"head.{name}" for name in probe.head.state_dict()} == set(small.state_dict())
    torch.testing.assert_close(small.eval()(probe.encoder(x)), probe.eval()(x), rtol=0, atol=0)


def test_preprocessing_of_features() -> None:
    own = FeaturePreprocessing(**Preprocessing.of(find_model("probe/test_vit")).model_dump(), width=5)
    x = torch.randn(3, 2, 5)
    assert own.shape == (5,)
    assert torch.equal(own(x), x[:, 0])


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext", "test_byobnet", "test_vit2"])
def test_features_are_those_of_timm(name: str) -> None:
    torch.manual_seed(0)
    spec = find_model(f"probe/{name}")
    model = create_model(spec.name, 7).eval()
    plain = timm.create_model(name, num_classes=0).eval()
    plain.load_state_dict(model.get_submodule("encoder").state_dict())
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(model.get_submodule("encoder")(x), plain(x))
        assert model(x).shape == (2, 7)
    assert spec.parameters == sum(p.numel() for p in model.parameters())
    assert (spec.mean, spec.std) == (timm_spec(name).mean, timm_spec(name).std)
    if spec.gradcam:
        model.get_submodule(spec.gradcam)


def test_specs_of_probes() -> None:
    vit = find_model("probe/timm/test_vit")
    assert vit is find_model("probe/test_vit")
    assert (vit.name, vit.input_size, vit.imagenet_prefix, vit.recipe_file) == (
        "probe/test_vit", 160, "encoder.", "probe",
    )  # fmt: skip
    assert find_declared("probe/test_vit") is find_model("probe")
    with pytest.raises(UsageError, match="no model 'timm/test_vitt'; did you mean timm/test_vit"):
        find_model("probe/test_vitt")
    with pytest.raises(UsageError, match="no small variant"):
        create_model("probe/test_vit", 7, reduced=True)


@pytest.mark.slow
def test_usual_encoder_is_the_default() -> None:
    default, named = find_model("probe"), find_model("probe/vit_small_patch14_dinov2")
    for name in ("parameters", "input_size", "mean", "std", "gradcam", "imagenet_prefix", "backbone", "options"):
        assert getattr(default, name) == getattr(named, name), name
    assert {**default.arguments, "multiple": 1, "side": 0} == named.arguments
    with torch.device("meta"):
        one, other = create_model("probe", 7).state_dict(), create_model(named.name, 7).state_dict()
    assert {name: tensor.shape for name, tensor in one.items()} == {n: tensor.shape for n, tensor in other.items()}
