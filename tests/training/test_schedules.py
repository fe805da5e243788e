"""Learning rate schedules, compared with their closed-form formulas."""

from __future__ import annotations

import io
import math
from typing import Any, get_args

import pytest
import torch
from torch import nn

from fercli.recipes import Settings
from fercli.recipes.phase_settings import Optimiser, Schedule
from fercli.training.optim.factory import make_optimizer
from fercli.training.schedules import LRSchedule


def settings(**values: Any) -> Settings:
    return Settings(**{"lr": 0.1, **values})


def round_trip(state: Any) -> Any:
    """Save and load a state, as a resumed run does."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def rates(losses: list[float] | int, steps_per_epoch: int = 1, **values: Any) -> list[float]:
    """Return the learning rate at the start of each step."""
    epochs = [1.0] * losses if isinstance(losses, int) else losses
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=values.get("lr", 0.1))
    rate = LRSchedule(optimizer, settings(epochs=len(epochs), **values), steps_per_epoch)
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


def test_plateau_decays_after_its_patience() -> None:
    losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.5, 0.6, 0.6, 0.6, 0.6]
    # Epochs 3, 4 and 5 (from 1) are worse than 0.9: with a patience of 2 the rate decays after the fifth.
    found = rates(losses, schedule="plateau", gamma=0.1, plateau_patience=2)
    expected = [0.1] * 5 + [0.01] * 5 + [0.001]
    assert found == pytest.approx(expected)


def test_cosine_ends_at_zero() -> None:
    found = rates(5, 4, schedule="cosine")
    assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 20)) for step in range(20)], abs=1e-9)


def test_one_cycle_rises_and_falls() -> None:
    steps, warmup, lr = 40, 0.25, 0.1
    found = rates(10, 4, schedule="one-cycle", warmup=warmup)
    top = warmup * (steps + 1) - 1
    expected = []
    for step in range(steps):
        low, high, share = (
            (lr / 25, lr, step / top) if step <= top else (lr / 25 / 1e4, lr, 1 - (step - top) / (steps - top))
        )
        expected.append(low + (high - low) * (1 - math.cos(math.pi * share)) / 2)
    assert found == pytest.approx(expected, rel=1e-6)
    assert max(found) == pytest.approx(lr, rel=0.01)


@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.25, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9])
def test_one_cycle_with_few_steps(steps: int, warmup: float) -> None:
    found = rates(steps, schedule="one-cycle", warmup=warmup)
    assert all(0 < rate <= 0.1 for rate in found)


@pytest.mark.parametrize(("lr_min", "cycle", "steps_per_epoch"), [(0.0, 2, 4), (0.02, 3, 5), (0.01, 1, 7)])
def test_cyclic_is_a_triangle(lr_min: float, cycle: int, steps_per_epoch: int) -> None:
    found = rates(7, steps_per_epoch, schedule="cyclic", cycle=cycle, lr_min=lr_min)
    half = cycle * steps_per_epoch / 2  # Smith 2017: x = |step / half - 2 cycle + 1|, lr = min + (max - min)(1 - x)
    expected = []
    for step in range(7 * steps_per_epoch):
        x = abs(step / half - 2 * math.floor(1 + step / (2 * half)) + 1)
        expected.append(lr_min + (0.1 - lr_min) * max(0.0, 1 - x))
    assert found == pytest.approx(expected, abs=1e-12)
    assert max(found) == pytest.approx(0.1) or half != round(half)
    assert found[0] == found[cycle * steps_per_epoch] == pytest.approx(lr_min)


@pytest.mark.parametrize(("growth", "ends"), [(1, [2, 4, 6, 8, 10, 12, 14]), (2, [2, 6, 14]), (3, [2, 8])])
def test_warm_restarts_by_steps(growth: int, ends: list[int]) -> None:
    values: dict[str, Any] = {"schedule": "warm-restarts", "cycle": 2, "cycle_growth": growth, "lr_min": 0.001}
    found = rates(14, 5, **values)
    expected: list[float] = []
    length = 2.0
    while len(expected) < 70:  # Loshchilov and Hutter 2017, equation 5, with fractions of epochs
        expected += [0.001 + 0.0495 * (1 + math.cos(math.pi * i / (length * 5))) for i in range(int(length * 5))]
        length *= growth
    assert found == pytest.approx(expected[:70], abs=1e-12)
    restarts = [step // 5 for step in range(1, 70) if found[step] > found[step - 1]]
    assert restarts == [end for end in ends if end < 14]
    assert settings(epochs=14, **values).cycle_ends() == tuple(ends)


def test_cycles_end_at_the_minimum() -> None:
    found = rates(9, 4, schedule="cyclic", cycle=3, cycle_growth=5)
    assert settings(epochs=10, schedule="cyclic", cycle=3, cycle_growth=5).cycle_ends() == (3, 6, 9)
    for end in (3, 6):
        assert found[end * 4] == pytest.approx(0)
        assert 0 < found[end * 4 - 1] < found[end * 4 - 2]
    assert settings(epochs=10, schedule="cosine", cycle=3).cycle_ends() == ()


@pytest.mark.parametrize(("rate", "steps"), [(1.0, 80), (0.5, 1), (0.0, 3)])
def test_inverse_time(rate: float, steps: int) -> None:
    found = rates(6, 10, schedule="inverse-time", decay_rate=rate, decay_steps=steps)
    assert found == pytest.approx([0.1 / (1 + rate * step / steps) for step in range(60)])


def test_lr_min_of_cosine_and_plateau() -> None:
    assert rates(4, 3, schedule="cosine", lr_min=0.01) == pytest.approx(
        [0.01 + 0.045 * (1 + math.cos(math.pi * step / 12)) for step in range(12)]
    )
    worse = [1.0, *[2.0] * 5]
    found = rates(worse, schedule="plateau", plateau_patience=0, gamma=0.1, lr_min=0.004)
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.004, 0.004, 0.004])


SCHEDULES = get_args(Schedule)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (3, 1)])
def test_every_schedule_with_few_steps(schedule: str, epochs: int, steps: int) -> None:
    found = rates(epochs, steps, schedule=schedule, cycle=1)
    assert all(0 <= rate <= 0.1 for rate in found)


@pytest.mark.parametrize("optimizer", get_args(Optimiser))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_works_with_every_optimiser_without_warnings(
    schedule: str, optimizer: str, recwarn: pytest.WarningsRecorder
) -> None:
    model, chosen = nn.Linear(2, 2), settings(schedule=schedule, optimizer=optimizer, epochs=2, cycle=1, decay_steps=2)
    moved = make_optimizer(model, chosen)
    rate = LRSchedule(moved, chosen, 3)
    found = []
    for _ in range(2):
        for _ in range(3):  # without optimiser steps, as if float16 skipped the first ones
            found.append(rate.value)
            rate.step()
        rate.epoch(1.0)
    assert not recwarn.list
    assert (len({f"{one:.9f}" for one in found}) > 1) == (schedule not in ("constant", "step", "plateau"))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_resume_from_their_state(schedule: str) -> None:
    values: dict[str, Any] = {"schedule": schedule, "step_size": 2, "gamma": 0.5, "plateau_patience": 1, "cycle": 2}
    values |= {"cycle_growth": 2, "decay_steps": 3, "lr_min": 0.001}
    losses = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    whole = rates(losses, 2, **values)

    def fresh() -> tuple[torch.optim.Optimizer, LRSchedule]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        return optimizer, LRSchedule(optimizer, settings(epochs=6, **values), 2)

    optimizer, rate = fresh()
    found = []
    for epoch, loss in enumerate(losses):
        if epoch == 3:
            states = round_trip(optimizer.state_dict()), round_trip(rate.scheduler.state_dict())
            optimizer, rate = fresh()
            optimizer.load_state_dict(states[0])
            rate.scheduler.load_state_dict(states[1])
        for _ in range(2):
            found.append(rate.value)
            optimizer.step()
            rate.step()
        rate.epoch(loss)
    assert found == whole
