"""Optimisers, schedules, moving average and class weights against plain formulas."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from fercli.recipes import Settings
from fercli.stages.train.optimise import Average, Rate, class_weights, make_optimizer


def settings(**values: Any) -> Settings:
    return Settings(**{"lr": 0.1, **values})


def rates(losses: list[float] | int, steps_per_epoch: int = 1, **values: Any) -> list[float]:
    """Return the rate at the start of each step."""
    epochs = [1.0] * losses if isinstance(losses, int) else losses
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=values.get("lr", 0.1))
    rate = Rate(optimizer, settings(**values), len(epochs) * steps_per_epoch)
    found = []
    for loss in epochs:
        for _ in range(steps_per_epoch):
            found.append(rate.value)
            assert optimizer.param_groups[0]["lr"] == rate.value
            optimizer.step()
            rate.step()
        rate.epoch(loss)
    return found


def test_constant() -> None:
    assert rates(8, 3, schedule="constant") == [0.1] * 24


@pytest.mark.parametrize(("step_size", "gamma"), [(2, 0.5), (10, 0.9)])
def test_step(step_size: int, gamma: float) -> None:
    found = rates(25, 2, schedule="step", step_size=step_size, gamma=gamma)
    assert found == pytest.approx([0.1 * gamma ** (epoch // step_size) for epoch in range(25) for _ in range(2)])


def test_plateau_falls_after_its_patience() -> None:
    losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.5, 0.6, 0.6, 0.6, 0.6]
    # Epochs 3, 4 and 5 (from 1) are worse than 0.9: with a patience of 2 the rate falls after the fifth.
    found = rates(losses, schedule="plateau", gamma=0.1, plateau_patience=2)
    wanted = [0.1] * 5 + [0.01] * 5 + [0.001]
    assert found == pytest.approx(wanted)


def test_cosine_ends_at_nothing() -> None:
    found = rates(5, 4, schedule="cosine")
    assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 20)) for step in range(20)], abs=1e-9)


def test_one_cycle_rises_and_falls() -> None:
    steps, warmup, lr = 40, 0.25, 0.1
    found = rates(10, 4, schedule="one-cycle", warmup=warmup)
    top = warmup * (steps + 1) - 1
    wanted = []
    for step in range(steps):
        low, high, share = (
            (lr / 25, lr, step / top) if step <= top else (lr / 25 / 1e4, lr, 1 - (step - top) / (steps - top))
        )
        wanted.append(low + (high - low) * (1 - math.cos(math.pi * share)) / 2)
    assert found == pytest.approx(wanted, rel=1e-6)
    assert max(found) == pytest.approx(lr, rel=0.01)


@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.25, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9])
def test_one_cycle_of_few_steps(steps: int, warmup: float) -> None:
    found = rates(steps, schedule="one-cycle", warmup=warmup)
    assert all(0 < rate <= 0.1 for rate in found)


@pytest.mark.parametrize("schedule", ["constant", "step", "plateau", "cosine", "one-cycle"])
def test_schedules_go_on_from_their_state(schedule: str) -> None:
    values: dict[str, Any] = {"schedule": schedule, "step_size": 2, "gamma": 0.5, "plateau_patience": 1}
    losses = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    whole = rates(losses, 2, **values)

    def fresh() -> tuple[torch.optim.Optimizer, Rate]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        return optimizer, Rate(optimizer, settings(**values), 12)

    optimizer, rate = fresh()
    found = []
    for epoch, loss in enumerate(losses):
        if epoch == 3:
            states = optimizer.state_dict(), rate.scheduler.state_dict()
            optimizer, rate = fresh()
            optimizer.load_state_dict(states[0])
            rate.scheduler.load_state_dict(states[1])
        for _ in range(2):
            found.append(rate.value)
            optimizer.step()
            rate.step()
        rate.epoch(loss)
    assert found == whole


class Small(nn.Module):
    """A convolution, a norm, a linear layer, and a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.linear = nn.Linear(2, 3)
        self.frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.norm(self.conv(x)).mean((2, 3)))
        return logits


def decays(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}


def test_weight_decay_groups() -> None:
    model = Small()
    everything = decays(model, make_optimizer(model, settings(weight_decay=0.01)))
    assert set(everything) == {n for n, _ in model.named_parameters()} - {"frozen"}
    assert set(everything.values()) == {0.01}
    weights_alone = decays(model, make_optimizer(model, settings(weight_decay=0.01, decay_all=False)))
    assert {name for name, decay in weights_alone.items() if decay} == {"conv.weight", "linear.weight"}
    assert set(weights_alone) == set(everything)


@pytest.mark.parametrize(
    ("name", "wanted", "values"),
    [
        ("sgd", torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
        ("sgd", torch.optim.SGD, {"momentum": 0.0, "nesterov": True}),
        ("adam", torch.optim.Adam, {}),
        ("adamw", torch.optim.AdamW, {}),
        ("rmsprop", torch.optim.RMSprop, {"momentum": 0.7}),
        ("radam", torch.optim.RAdam, {}),
    ],
)
def test_optimisers_move_as_torchs_own(name: str, wanted: Any, values: dict[str, Any]) -> None:
    torch.manual_seed(0)
    ours = Small().eval()  # a bias ahead of a norm that learns has no gradient but rounding, which Adam makes steps of
    theirs = copy.deepcopy(ours)
    optimizer = make_optimizer(ours, settings(optimizer=name, lr=0.01, weight_decay=0.1, **values))
    assert type(optimizer) is wanted
    plain = {**values, "nesterov": bool(values["momentum"])} if "nesterov" in values else values
    trainable = [p for p in theirs.parameters() if p.requires_grad]
    oracle = wanted(trainable, lr=0.01, weight_decay=0.1, foreach=False, **plain)
    x = torch.randn(4, 1, 6, 6)
    for _ in range(8):
        for model, step in ((ours, optimizer), (theirs, oracle)):
            model(x).square().sum().backward()
            step.step()
            step.zero_grad()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_average_against_a_loop() -> None:
    torch.manual_seed(0)
    model = Small().train()
    average = Average(model, 0.6)
    wanted = {name: tensor.double().clone() for name, tensor in model.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 25):
        model(torch.randn(4, 1, 6, 6, generator=generator))  # moves the norm's running statistics
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            wanted[name] = decay * wanted[name] + (1 - decay) * tensor.double()
    for name, tensor in average.model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), wanted[name], rtol=1e-5, atol=1e-5)
    assert not average.model.training
    assert not any(p.requires_grad for p in average.model.parameters())
    assert (average.model.conv.weight - model.conv.weight).abs().max() > 0.1


def test_average_goes_on_after_the_model_was_brought_to_channels_last() -> None:
    model = Small().to(memory_format=torch.channels_last)
    average = Average(model, 0.5)
    average.model.to(memory_format=torch.channels_last)  # as prediction does
    with torch.no_grad():
        model.conv.weight.fill_(3)
    for step in range(1, 60):
        average.update(step)
    torch.testing.assert_close(average.model.conv.weight, model.conv.weight)


def test_class_weights_by_hand() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [3] * 1)
    # N = 10, 4 classes: 10 / (4 * 6), 10 / (4 * 3), none, 10 / (4 * 1)
    torch.testing.assert_close(class_weights(labels, 4), torch.tensor([10 / 24, 10 / 12, 0.0, 2.5]))
    torch.testing.assert_close(class_weights(torch.arange(5), 5), torch.ones(5))
