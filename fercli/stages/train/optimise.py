"""Optimisers, schedules and the moving average of the weights, by the recipe's names."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from fercli.recipes import Settings
from fercli.stages.train.muon import Muon

Scheduler = lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau


def make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the model's trainable parameters, fused where torch has it."""
    if settings.optimizer == "muon":
        return Muon(model, settings.lr, settings.momentum, settings.weight_decay)
    trainable = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trainable if settings.decay_all or p.ndim > 1]
    others = [p for p in trainable if not settings.decay_all and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    lr = settings.lr
    match settings.optimizer:
        case "sgd":
            return torch.optim.SGD(
                groups,
                lr=lr,
                momentum=settings.momentum,
                nesterov=settings.nesterov and settings.momentum > 0,
                fused=True,
            )
        case "adam":
            return torch.optim.Adam(groups, lr=lr, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=lr, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=lr, momentum=settings.momentum, foreach=True)
        case "radam":
            return torch.optim.RAdam(groups, lr=lr, foreach=True)


class Rate:
    """The learning rate's way: one call a step, one an epoch.

    Args:
        optimizer: Whose rate moves.
        settings: The recipe.
        steps: Steps of the whole training.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, settings: Settings, steps: int) -> None:
        self._optimizer = optimizer
        self.scheduler: Scheduler
        self._by_step = settings.schedule in ("cosine", "one-cycle")
        match settings.schedule:
            case "constant":
                self.scheduler = lr_scheduler.ConstantLR(optimizer, factor=1.0)
            case "step":
                self.scheduler = lr_scheduler.StepLR(optimizer, settings.step_size, settings.gamma)
            case "plateau":
                self.scheduler = lr_scheduler.ReduceLROnPlateau(
                    optimizer, factor=settings.gamma, patience=settings.plateau_patience
                )
            case "cosine":
                self.scheduler = lr_scheduler.CosineAnnealingLR(optimizer, steps)
            case "one-cycle":
                # A rise that ends on the very first step is zero steps long, and torch divides by its length.
                warmup = 0.0 if settings.warmup * (steps + 1) == 1 else settings.warmup
                self.scheduler = lr_scheduler.OneCycleLR(
                    optimizer, settings.lr, total_steps=steps + 1, pct_start=warmup, cycle_momentum=False
                )

    @property
    def value(self) -> float:
        """The rate now."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self) -> None:
        """Take note of a step."""
        if self._by_step:
            self.scheduler.step()  # type: ignore[call-arg]

    def epoch(self, validation_loss: float) -> None:
        """Take note of an epoch's end."""
        if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(validation_loss)
        elif not self._by_step:
            self.scheduler.step()


class Average:
    """An exponential moving average of a model's weights and buffers.

    Early on the decay is lowered to (1 + step) / (10 + step), so that the random start is soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self._decay = decay
        self._pairs = [
            (mine, theirs)
            for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True)
            if mine.is_floating_point()
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the model after its `step`-th step."""
        decay = min(self._decay, (1 + step) / (10 + step))
        mine: list[Tensor] = [pair[0] for pair in self._pairs]
        theirs: list[Tensor] = [pair[1] for pair in self._pairs]
        torch._foreach_lerp_(mine, theirs, 1 - decay)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return N / (classes x count) for each class, float32 (classes,); 0 for a class that does not occur."""
    counts = torch.bincount(labels, minlength=classes).float()
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp(min=1)), torch.zeros_like(counts))
