"""Freezing and dropout by phase: frozen parts do not change, all others train, and later phases unfreeze them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.errors import UsageError
from fercli.models.registry import create_model, find_model
from fercli.recipes import Settings
from fercli.training.freezing import FreezeSchedule, frozen_by
from fercli.training.optim.factory import make_optimizer


def settings(**values: Any) -> Settings:
    return Settings(**{"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9, **values})


class Net(nn.Module):
    """A backbone with a batch norm, a head with another one and dropout, and a parameter that never trains."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.backbone_like = nn.Conv2d(4, 4, 1)
        self.head = nn.Sequential(nn.BatchNorm1d(4, affine=True), nn.Dropout(0.5), nn.Linear(4, 3))
        self.fixed = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone_like(self.backbone(x)).mean((2, 3)) * self.fixed)
        return logits


def step(model: Net, freezing: FreezeSchedule, phase: Settings, count: int = 3) -> set[str]:
    """Train some steps; return the names in the state_dict that changed."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer, generator = make_optimizer(model, phase), torch.Generator().manual_seed(0)
    for _ in range(count):
        freezing.train()
        F.cross_entropy(model(torch.randn(6, 1, 8, 8, generator=generator)), torch.arange(6) % 3).backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def everything(model: Net) -> set[str]:
    return set(model.state_dict()) - {"fixed"}


def test_attention_inside_a_backbone_keeps_training() -> None:
    model = create_model("resnet50-cbam", 7, reduced=True)
    frozen = frozen_by(model, settings(freeze="backbone"), find_model("resnet50-cbam").backbone).parameters
    attention = {name for name, _ in model.named_parameters() if ".se." in name}
    assert len(attention) == 4 * 3  # two linear layers and one convolution per block
    assert frozen == {name for name, _ in model.named_parameters()} - attention - {"fc.weight", "fc.bias"}


def test_without_freezing_everything_trains() -> None:
    model = Net()
    freezing = FreezeSchedule(model, (settings(),), ())
    freezing.enter(0)
    assert step(model, freezing, settings()) == everything(model)


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        ("backbone", ["backbone."]),
        ("norms", ["backbone.1.", "head.0."]),
        ("backbone,norms", ["backbone.", "head.0."]),
    ],
)
def test_frozen_parts_do_not_change(freeze: str, frozen: list[str]) -> None:
    model, chosen = Net(), settings(freeze=freeze)
    freezing = FreezeSchedule(model, (chosen,), ("backbone.",))
    freezing.enter(0)
    moved = step(model, freezing, chosen)
    assert moved == {name for name in everything(model) if not name.startswith(tuple(frozen))}
    assert all(not p.requires_grad for name, p in model.named_parameters() if name.startswith((*frozen, "fixed")))


def test_later_phase_restores_the_defaults() -> None:
    model = Net()
    phases = (settings(freeze="backbone", dropout=0.2), settings(freeze="norms", dropout=0.0), settings())
    freezing = FreezeSchedule(model, phases, ("backbone.",))
    dropout = model.head[1]
    assert isinstance(dropout, nn.Dropout)
    for phase, (frozen, p) in enumerate([("backbone.", 0.2), ("backbone.1.", 0.0), ("none", 0.5)]):
        freezing.enter(phase)
        moved = step(model, freezing, phases[phase])
        assert not any(name.startswith(frozen) for name in moved)
        assert dropout.p == p
    assert moved == everything(model)
    assert not model.fixed.requires_grad


def test_frozen_norm_is_in_evaluation_mode() -> None:
    model = Net()
    freezing = FreezeSchedule(model, (settings(freeze="backbone"),), ("backbone.",))
    freezing.enter(0)
    freezing.train()
    assert model.training
    assert model.head.training
    x = torch.randn(4, 1, 8, 8)
    trained = model.backbone(x)
    model.eval()
    assert torch.equal(trained, model.backbone(x))


@pytest.mark.parametrize(
    ("model", "freeze", "backbone", "message"),
    [
        (Net(), "backbone", (), "the model has no trainable backbone to freeze"),
        (Net(), "backbone", ("body.",), "the model has no trainable backbone to freeze"),
        (nn.Sequential(nn.Linear(2, 2)), "norms", (), "the model has no batch norms to freeze"),
        (nn.Sequential(nn.LayerNorm(2)), "norms", (), "the model has no batch norms to freeze"),
        (nn.Sequential(nn.BatchNorm1d(2)), "norms", (), "with norms frozen, nothing is left to train"),
        (nn.Sequential(nn.Linear(2, 2)), "backbone", ("0.",), "with backbone frozen, nothing is left"),
    ],
)
def test_unsupported_freezing_is_an_error(
    model: nn.Module, freeze: str, backbone: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        frozen_by(model, settings(freeze=freeze), backbone)


def test_all_phases_are_checked_at_the_start() -> None:
    phases = (settings(), settings(freeze="backbone"))
    with pytest.raises(UsageError, match="no trainable backbone"):
        FreezeSchedule(Net(), phases, ())
    with pytest.raises(UsageError, match="dropout: the model has no dropout layers"):
        FreezeSchedule(nn.Linear(2, 2), (settings(), settings(dropout=0.2)), ())


@pytest.mark.parametrize("layer", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout])
def test_every_kind_of_dropout(layer: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 2), layer(0.4))
    freezing = FreezeSchedule(model, (settings(dropout=0.1),), ())
    freezing.enter(0)
    assert model[1].p == 0.1


def test_refrozen_norms_do_not_change() -> None:
    # Frozen, trained, frozen: leftover gradients of the second phase must not change them.
    model = Net()
    phases = (settings(freeze="norms"), settings(), settings(freeze="norms"))
    freezing = FreezeSchedule(model, phases, ())
    for phase in (0, 1, 2):
        freezing.enter(phase)
        moved = step(model, freezing, phases[phase])
    assert not any(name.startswith(("backbone.1.", "head.0.")) for name in moved)
