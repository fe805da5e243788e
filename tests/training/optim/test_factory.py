"""Optimisers by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from fercli.recipes import Settings
from fercli.training.optim.factory import make_optimizer


def settings(**values: Any) -> Settings:
    return Settings(**{"lr": 0.1, **values})


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
    weights_only = decays(model, make_optimizer(model, settings(weight_decay=0.01, decay_norm_bias=False)))
    assert {name for name, decay in weights_only.items() if decay} == {"conv.weight", "linear.weight"}
    assert set(weights_only) == set(everything)


@pytest.mark.parametrize(
    ("name", "expected", "values"),
    [
        ("sgd", torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
        ("sgd", torch.optim.SGD, {"momentum": 0.0, "nesterov": True}),
        ("adam", torch.optim.Adam, {}),
        ("adamw", torch.optim.AdamW, {}),
        ("rmsprop", torch.optim.RMSprop, {"momentum": 0.7}),
        ("radam", torch.optim.RAdam, {}),
    ],
)
def test_optimisers_match_torch(name: str, expected: Any, values: dict[str, Any]) -> None:
    torch.manual_seed(0)
    ours = Small().eval()  # in training mode, the bias before the norm only has rounding errors as gradient
    theirs = copy.deepcopy(ours)
    optimizer = make_optimizer(ours, settings(optimizer=name, lr=0.01, weight_decay=0.1, **values))
    assert type(optimizer) is expected
    plain = {**values, "nesterov": bool(values["momentum"])} if "nesterov" in values else values
    if name == "radam":
        plain = {"decoupled_weight_decay": True}  # as published, but not torch's default
    trainable = [p for p in theirs.parameters() if p.requires_grad]
    oracle = expected(trainable, lr=0.01, weight_decay=0.1, foreach=False, **plain)
    x = torch.randn(4, 1, 6, 6)
    for _ in range(8):
        for model, step in ((ours, optimizer), (theirs, oracle)):
            model(x).square().sum().backward()
            step.step()
            step.zero_grad()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)
