"""The forward pass of a training, in one process; several are tested in tests/stages/train/test_devices.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fercli.distributed.group import ALONE
from fercli.training.forward import TrainingForward, has_unused_parameters

CPU = torch.device("cpu")
SHAPE = (1, 4, 4)


class Model(nn.Module):
    """A linear model with a batch norm, and a layer that is used on request."""

    def __init__(self, use: bool) -> None:
        super().__init__()
        self.norm, self.linear, self.other = nn.BatchNorm2d(1), nn.Linear(16, 7), nn.Linear(7, 7)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(x).flatten(1))
        return logits + self.other(logits) if self.use else logits


class WithLoss(Model):
    """The same, with an extra loss."""

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self(x), targets.float().mean()


@pytest.mark.parametrize("use", [True, False])
def test_unused_parameters_are_found(use: bool) -> None:
    model = Model(use).train()
    model.norm.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert has_unused_parameters(model, SHAPE) is not use
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert (model.training, model.norm.training, model.linear.training) == (True, False, True)
    model.other.requires_grad_(False)
    assert not has_unused_parameters(model, SHAPE)  # frozen ones do not count


@pytest.mark.parametrize("kind", [Model, WithLoss])
def test_the_extra_loss_is_returned_if_there_is_one(kind: type[Model]) -> None:
    model = kind(True)
    forward = TrainingForward(model, CPU, ALONE, SHAPE, compile=False, sync_batch_norm=True)
    forward.enter_phase()
    x, targets = torch.rand(3, *SHAPE), torch.tensor([0, 1, 5])
    with forward.accumulating():
        logits, loss = forward(x, targets)
    assert torch.equal(logits, model(x))
    assert forward.has_own_loss is (kind is WithLoss)
    assert loss is None if kind is Model else float(loss) == 2.0  # type: ignore[arg-type]
