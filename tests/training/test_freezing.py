"""Staged freezing and dropout: what is held stays bit for bit, all else moves, and stages give it back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.errors import UsageError
from fercli.models.registry import create_model, find_model
from fercli.recipes import Settings
from fercli.training.freezing import FreezeSchedule, held_by
from fercli.training.optim.factory import make_optimizer


def settings(**values: Any) -> Settings:
    return Settings(**{"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9, **values})


class Net(nn.Module):
    """A backbone with a norm, a head with a norm of its own and dropout, a part that never trains."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.backbone_like = nn.Conv2d(4, 4, 1)
        self.head = nn.Sequential(nn.BatchNorm1d(4, affine=True), nn.Dropout(0.5), nn.Linear(4, 3))
        self.fixed = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone_like(self.backbone(x)).mean((2, 3)) * self.fixed)
        return logits


def step(model: Net, holding: FreezeSchedule, chosen: Settings, count: int = 3) -> set[str]:
    """Train some steps; return the names in the state_dict that changed."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer, generator = make_optimizer(model, chosen), torch.Generator().manual_seed(0)
    for _ in range(count):
        holding.train()
        F.cross_entropy(model(torch.randn(6, 1, 8, 8, generator=generator)), torch.arange(6) % 3).backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def everything(model: Net) -> set[str]:
    return set(model.state_dict()) - {"fixed"}


def test_attention_within_a_backbone_goes_on_learning() -> None:
    model = create_model("resnet50-cbam", 7, reduced="yes")
    held = held_by(model, settings(freeze="backbone"), find_model("resnet50-cbam").backbone).parameters
    attention = {name for name, _ in model.named_parameters() if ".se." in name}
    assert len(attention) == 4 * 3  # two linear layers and one convolution a block
    assert held == {name for name, _ in model.named_parameters()} - attention - {"fc.weight", "fc.bias"}


def test_nothing_held_all_moves() -> None:
    model = Net()
    holding = FreezeSchedule(model, (settings(),), ())
    holding.enter(0)
    assert step(model, holding, settings()) == everything(model)


@pytest.mark.parametrize(
    ("freeze", "held"),
    [
        ("backbone", ["backbone."]),
        ("norms", ["backbone.1.", "head.0."]),
        ("backbone,norms", ["backbone.", "head.0."]),
    ],
)
def test_what_is_held_stays_bit_for_bit(freeze: str, held: list[str]) -> None:
    model, chosen = Net(), settings(freeze=freeze)
    holding = FreezeSchedule(model, (chosen,), ("backbone.",))
    holding.enter(0)
    moved = step(model, holding, chosen)
    assert moved == {name for name in everything(model) if not name.startswith(tuple(held))}
    assert all(not p.requires_grad for name, p in model.named_parameters() if name.startswith((*held, "fixed")))


def test_a_later_stage_gives_back_what_was_the_models_own() -> None:
    model = Net()
    plan = (settings(freeze="backbone", dropout=0.2), settings(freeze="norms", dropout=0.0), settings())
    holding = FreezeSchedule(model, plan, ("backbone.",))
    dropout = model.head[1]
    assert isinstance(dropout, nn.Dropout)
    for stage, (wanted, p) in enumerate([("backbone.", 0.2), ("backbone.1.", 0.0), ("none", 0.5)]):
        holding.enter(stage)
        moved = step(model, holding, plan[stage])
        assert not any(name.startswith(wanted) for name in moved)
        assert dropout.p == p
    assert moved == everything(model)
    assert not model.fixed.requires_grad


def test_a_held_norm_computes_as_in_evaluation() -> None:
    model = Net()
    holding = FreezeSchedule(model, (settings(freeze="backbone"),), ("backbone.",))
    holding.enter(0)
    holding.train()
    assert model.training
    assert model.head.training
    x = torch.randn(4, 1, 8, 8)
    trained = model.backbone(x)
    model.eval()
    assert torch.equal(trained, model.backbone(x))


@pytest.mark.parametrize(
    ("model", "freeze", "backbone", "message"),
    [
        (Net(), "backbone", (), "the model has no trainable backbone to hold"),
        (Net(), "backbone", ("body.",), "the model has no trainable backbone to hold"),
        (nn.Sequential(nn.Linear(2, 2)), "norms", (), "the model has no batch norms to hold"),
        (nn.Sequential(nn.LayerNorm(2)), "norms", (), "the model has no batch norms to hold"),
        (nn.Sequential(nn.BatchNorm1d(2)), "norms", (), "with norms held, the model has nothing left to train"),
        (nn.Sequential(nn.Linear(2, 2)), "backbone", ("0.",), "with backbone held, the model has nothing left"),
    ],
)
def test_what_cannot_be_held(model: nn.Module, freeze: str, backbone: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        held_by(model, settings(freeze=freeze), backbone)


def test_a_later_stage_is_checked_at_once() -> None:
    plan = (settings(), settings(freeze="backbone"))
    with pytest.raises(UsageError, match="no trainable backbone"):
        FreezeSchedule(Net(), plan, ())
    with pytest.raises(UsageError, match="dropout: the model has no dropout layers"):
        FreezeSchedule(nn.Linear(2, 2), (settings(), settings(dropout=0.2)), ())


@pytest.mark.parametrize("layer", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout])
def test_every_kind_of_dropout(layer: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 2), layer(0.4))
    holding = FreezeSchedule(model, (settings(dropout=0.1),), ())
    holding.enter(0)
    assert model[1].p == 0.1


def test_norms_of_no_gradient_need_no_gradient_again() -> None:
    # Held, trained, held: the gradients of the stage between must not move what is held then.
    model = Net()
    plan = (settings(freeze="norms"), settings(), settings(freeze="norms"))
    holding = FreezeSchedule(model, plan, ())
    for stage in (0, 1, 2):
        holding.enter(stage)
        moved = step(model, holding, plan[stage])
    assert not any(name.startswith(("backbone.1.", "head.0.")) for name in moved)
