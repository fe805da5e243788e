"""The moving average of a model's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class ModelEMA:
    """An exponential moving average of a model's weights and buffers.

    Early on the decay is limited to (1 + step) / (10 + step), so that the random initialisation is forgotten quickly.

    Neither timm's ModelEmaV3 nor torch's AveragedModel gives the same weights: the former warms up by another formula
    and copies integer buffers, the latter starts from a copy of the model after its first step, and averages either the
    parameters or all buffers.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self._decay = decay
        pairs = zip(self.model.state_dict().values(), model.state_dict().values(), strict=True)
        self._pairs = [(average, value) for average, value in pairs if average.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after the model's `step`-th step."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averages: list[Tensor] = [average for average, _ in self._pairs]
        values: list[Tensor] = [value for _, value in self._pairs]
        torch._foreach_lerp_(averages, values, 1 - decay)
