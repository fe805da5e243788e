"""The moving average of a model's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class ModelEMA:
    """An exponential moving average of a model's weights and buffers.

    Early on the decay is lowered to (1 + step) / (10 + step), so that the random start is soon forgotten.

    Neither timm's ModelEmaV3 nor torch's AveragedModel gives the same weights: the former warms up by another formula
    and copies integer buffers, the latter begins with a copy of the model after its first step, and averages parameters
    or all buffers.
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
