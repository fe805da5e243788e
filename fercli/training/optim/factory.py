"""Optimisers, by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fercli.recipes import PhaseSettings
from fercli.training.optim.muon import Muon
from fercli.training.optim.ranger_adabelief import RangerAdaBelief


def make_optimizer(
    model: nn.Module, settings: PhaseSettings, dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """Create the optimiser for the model's trainable parameters, fused where torch supports it.

    Args:
        model: The model.
        settings: The settings of a phase of the training.
        dtype: Type that the model computes in. Muon computes in bfloat16 too if that is the type.
    """
    if settings.optimizer == "muon":
        muon_type = torch.bfloat16 if dtype == torch.bfloat16 else torch.float32
        return Muon(model, settings.lr, settings.momentum, settings.weight_decay, muon_type)
    trainable = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trainable if settings.decay_norm_bias or p.ndim > 1]
    undecayed = [p for p in trainable if not settings.decay_norm_bias and p.ndim <= 1]
    both = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": undecayed, "weight_decay": 0.0}]
    groups = [group for group in both if group["params"]]
    lr = settings.lr
    match settings.optimizer:
        case "sgd":
            return _sgd(groups, settings)
        case "adam":
            return torch.optim.Adam(groups, lr=lr, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=lr, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=lr, momentum=settings.momentum, foreach=True)
        case "radam":
            # As published: decoupled weight decay.
            return torch.optim.RAdam(groups, lr=lr, decoupled_weight_decay=True, foreach=True)
        case "ranger-adabelief":
            return RangerAdaBelief(groups, lr)


def _sgd(groups: list[dict[str, Any]], settings: PhaseSettings) -> torch.optim.SGD:
    momentum = settings.momentum
    optimizer = torch.optim.SGD(
        groups, lr=settings.lr, momentum=momentum, nesterov=settings.nesterov and momentum > 0, fused=True
    )
    if momentum:
        # If float16 skips the first update, torch would continue from uninitialised memory.
        for p in (p for group in groups for p in group["params"]):
            optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return optimizer
