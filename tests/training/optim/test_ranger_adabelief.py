"""RangerAdaBelief, compared with its formula in numpy."""

from __future__ import annotations

import copy
import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fercli.recipes import Settings
from fercli.training.optim.factory import make_optimizer
from fercli.training.optim.ranger_adabelief import RangerAdaBelief, rectification

SHAPES = ((4, 3, 3, 3), (5, 4), (5,), (2, 1), ())


def gradients(steps: int, seed: int = 0) -> list[list[np.ndarray]]:
    """Return gradients of all shapes for each step, float64, with a non-zero mean."""
    generator = np.random.default_rng(seed)
    return [[np.asarray(generator.normal(0.3, 1.0, shape)) for shape in SHAPES] for _ in range(steps)]


def formula(
    start: list[np.ndarray],
    grads: list[list[np.ndarray]],
    lrs: list[float],
    *,
    betas: tuple[float, float] = (0.95, 0.999),
    eps: float = 1e-5,
    decay: float = 0.0,
    k: int = 6,
    alpha: float = 0.5,
    centralise: bool = True,
) -> list[list[np.ndarray]]:
    """Return the weights after each step."""
    b1, b2 = betas
    longest = 2 / (1 - b2) - 1
    theta, slow = [w.copy() for w in start], [w.copy() for w in start]
    m, s = [np.zeros_like(w) for w in start], [np.zeros_like(w) for w in start]
    found = []
    for t, (given, lr) in enumerate(zip(grads, lrs, strict=True), 1):
        for i, g in enumerate(given):
            if centralise and g.ndim > 1 and g[0].size > 1:
                g = g - g.mean(axis=tuple(range(1, g.ndim)), keepdims=True)
            m[i] = b1 * m[i] + (1 - b1) * g
            s[i] = b2 * s[i] + (1 - b2) * (g - m[i]) ** 2
            rho = longest - 2 * t * b2**t / (1 - b2**t)
            size, move = lr / (1 - b1**t), m[i]
            if rho > 5:
                s[i] = s[i] + eps
                r = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
                size *= math.sqrt((1 - b2**t) * r)
                move = m[i] / (np.sqrt(s[i]) + eps)
            theta[i] = theta[i] - size * (move + decay * theta[i])
            if t % k == 0:
                slow[i] = slow[i] + alpha * (theta[i] - slow[i])
                theta[i] = slow[i].copy()
        found.append([w.copy() for w in theta])
    return found


def starts(seed: int = 1) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.normal(0, 1, shape)) for shape in SHAPES]


def run(
    start: list[np.ndarray], grads: list[list[np.ndarray]], lrs: list[float], dtype: Any, **options: Any
) -> list[list[np.ndarray]]:
    """Return the weights after each step of our optimiser."""
    params = [nn.Parameter(torch.tensor(w, dtype=dtype)) for w in start]
    optimizer, found = RangerAdaBelief(params, **options), []
    for given, lr in zip(grads, lrs, strict=True):
        for p, g in zip(params, given, strict=True):
            p.grad = torch.tensor(g, dtype=dtype)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        found.append([p.detach().double().numpy().copy() for p in params])
    return found


@pytest.mark.parametrize(
    ("options", "formula_options"),
    [
        ({}, {}),
        ({"weight_decay": 0.1}, {"decay": 0.1}),
        ({"centralise": False}, {"centralise": False}),
        ({"betas": (0.9, 0.99), "eps": 1e-8}, {"betas": (0.9, 0.99), "eps": 1e-8}),
        ({"k": 1, "alpha": 0.8}, {"k": 1, "alpha": 0.8}),
        ({"k": 5}, {"k": 5}),
        ({"betas": (0.9, 0.6)}, {"betas": (0.9, 0.6)}),  # never rectified: rho_max is 4
    ],
    ids=str,
)
def test_steps_match_the_formula(options: dict[str, Any], formula_options: dict[str, Any]) -> None:
    # With the default betas rectification starts at step 6; Lookahead applies at every sixth step.
    grads, lrs = gradients(60), [0.02 / (1 + step / 20) for step in range(60)]
    expected = formula(starts(), grads, lrs, **formula_options)
    exact = run(starts(), grads, lrs, torch.float64, **options)
    single = run(starts(), grads, lrs, torch.float32, **options)
    for step in range(60):
        for i in range(len(SHAPES)):
            np.testing.assert_allclose(exact[step][i], expected[step][i], rtol=1e-9, atol=1e-12, err_msg=f"step {step}")
            np.testing.assert_allclose(single[step][i], expected[step][i], rtol=2e-4, atol=2e-5, err_msg=f"step {step}")


def test_rectification() -> None:
    # Liu et al. 2020: rho_max = 1999; rho_5 = 4.996 and rho_6 = 5.994, to three decimals.
    assert [rectification(step, 0.999) is None for step in range(1, 9)] == [True] * 5 + [False] * 3
    rho = 1999 - 12 * 0.999**6 / (1 - 0.999**6)
    expected = math.sqrt((1 - 0.999**6) * (rho - 4) * (rho - 2) * 1999 / (1995 * 1997 * rho))
    assert rectification(6, 0.999) == pytest.approx(expected)
    assert rectification(10**6, 0.999) == pytest.approx(1.0)


def test_factory_sets_weight_decay_groups() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    settings = Settings(lr=0.01, optimizer="ranger-adabelief", weight_decay=0.1, decay_norm_bias=False)
    optimizer = make_optimizer(model, settings)
    assert isinstance(optimizer, RangerAdaBelief)
    assert [(len(g["params"]), g["weight_decay"]) for g in optimizer.param_groups] == [(1, 0.1), (3, 0.0)]
    assert {(g["lr"], g["betas"], g["eps"], g["k"], g["alpha"]) for g in optimizer.param_groups} == {
        (0.01, (0.95, 0.999), 1e-5, 6, 0.5)
    }


def test_resuming_from_the_state_is_exact() -> None:
    def steps(model: nn.Module, optimizer: RangerAdaBelief, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(count):
            for p in model.parameters():
                p.grad = torch.randn(p.shape, generator=generator)
            optimizer.step()

    torch.manual_seed(0)
    whole = nn.Linear(3, 2)
    first = RangerAdaBelief(whole.parameters(), 0.01, weight_decay=0.01)
    steps(whole, first, 9, 1)  # between two Lookahead updates
    file = io.BytesIO()
    torch.save([first.state_dict(), whole.state_dict()], file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    other = nn.Linear(3, 2)
    other.load_state_dict(states[1])
    second = RangerAdaBelief(other.parameters(), 0.5)
    second.load_state_dict(states[0])
    for model, optimizer in ((whole, first), (other, second)):
        steps(model, optimizer, 10, 2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), other.parameters(), strict=True))


# --- degenerate cases ---


def one(value: float | Tensor, **options: Any) -> tuple[nn.Parameter, RangerAdaBelief]:
    p = nn.Parameter(torch.as_tensor(value))
    return p, RangerAdaBelief([p], 0.1, **options)


def test_zero_or_missing_gradients_change_nothing() -> None:
    p, optimizer = one(1.0)
    for _ in range(20):
        p.grad = torch.zeros(())
        optimizer.step()
    assert p == 1.0
    p.grad = None
    optimizer.step()
    assert p == 1.0


def test_constant_gradient_stays_finite() -> None:
    # The deviation vanishes: the denominator is eps alone.
    p, optimizer = one(torch.zeros(2))
    for _ in range(200):
        p.grad = torch.tensor([1.0, -1e-20])
        optimizer.step()
    assert p.isfinite().all()
    assert p[0] < -1


def test_parameters_without_gradients_in_some_steps_count_their_own() -> None:
    a, b = (nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2))
    optimizer = RangerAdaBelief([a, b], 0.1)
    alone = copy.deepcopy(b)
    other = RangerAdaBelief([alone], 0.1)
    generator = torch.Generator().manual_seed(0)
    for step in range(30):
        a.grad = torch.randn(2, generator=generator)
        b.grad = torch.randn(2, generator=generator) if step % 3 else None
        alone.grad = None if b.grad is None else b.grad.clone()
        optimizer.step()
        other.step()
    assert optimizer.state[a]["step"] == 30
    assert optimizer.state[b]["step"] == 20
    assert torch.equal(b, alone)


def test_gradients_are_not_modified_and_a_closure_is_called() -> None:
    p, optimizer = one(torch.ones(2, 3))

    def closure() -> float:
        optimizer.zero_grad()
        loss = (p * torch.arange(6.0).view(2, 3)).sum()
        loss.backward()
        return float(loss.detach())

    assert optimizer.step(closure) == 15.0
    assert torch.equal(p.grad, torch.arange(6.0).view(2, 3))


def test_it_minimises_a_quadratic() -> None:
    p, optimizer = one(torch.tensor([3.0, -2.0]))
    for _ in range(400):
        p.grad = torch.tensor([2.0, 20.0]) * p.detach()
        optimizer.step()
    assert p.abs().max() < 1e-2
