"""Sharpness-aware minimisation: the gradients of a step are those at the worst weights nearby.

Foret et al. 2021, "Sharpness-aware minimization for efficiently improving generalization", algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class SharpnessAware:
    """Computes the gradients of a step, sharpness-aware or plain.

    A sharpness-aware step computes the gradient g at the weights w, moves them to w + rho g / |g| (equation 2 for
    p = 2; |g| is the norm of all gradients together), computes the gradient there, and moves them back. The optimiser
    steps from w with the second gradient. Gradient clipping, weight decay and the moving average of the weights concern
    that step alone.

    With `every` above 1 only every so many steps are sharpness-aware, from the first one on, and the others are plain.
    That is the saving of LookSAM (Liu et al. 2022), but not its method, which in between reuses a part of the last
    sharpness-aware gradient.

    - Both passes have the same random numbers, so the same dropout masks (on the CPU and on CUDA).
    - Both normalise by the statistics of the batch, but buffers (the running statistics of batch norms, counters of
      steps) are those of the first pass: the weights of the second are never used afterwards.
    - The scale of a float16 loss cancels in g / |g|, so g is not unscaled. If g is not finite, the weights stay, and
      the second pass repeats the overflow, by which the scaler skips the step and lowers the scale.

    Args:
        model: The model.
        rho: The distance; 0: all steps are plain.
        every: Steps from one sharpness-aware step to the next.
    """

    def __init__(self, model: nn.Module, rho: float, every: int = 1) -> None:
        self._model, self._rho, self._every = model, rho, every

    def backward(self, backward: Callable[[], T], step: int) -> T:
        """Compute the gradients of a step, which are empty before.

        Args:
            backward: Runs the model and adds up the gradients of the (scaled) loss.
            step: Number of the step, from 0.

        Returns:
            What `backward` returned at the weights themselves.
        """
        if not self._rho or step % self._every:
            return backward()
        with torch.random.fork_rng(self._cuda_devices()):
            found = backward()
        weights = [p for p in self._model.parameters() if p.grad is not None]
        if not weights:
            return found
        kept_weights, buffers = [p.detach().clone() for p in weights], list(self._model.buffers())
        kept_buffers = [buffer.clone() for buffer in buffers]
        self._climb(weights)
        backward()
        with torch.no_grad():  # copies, since subtracting what was added would leave rounding errors
            _copy(kept_weights, weights)
            _copy(kept_buffers, buffers)
        return found

    @torch.no_grad()
    def _climb(self, weights: list[nn.Parameter]) -> None:
        """Add rho g / |g| to the weights, and clear their gradients; without waiting for the device."""
        gradients = [p.grad for p in weights if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        scale = torch.where(norm.isfinite() & (norm > 0), self._rho / norm, torch.zeros_like(norm))
        for weight, gradient in zip(weights, gradients, strict=True):
            # 0 times an infinite gradient is not a number.
            weight.add_((gradient * scale).nan_to_num(0.0, 0.0, 0.0))
            weight.grad = None

    def _cuda_devices(self) -> list[torch.device]:
        return list({p.device for p in self._model.parameters() if p.device.type == "cuda"})


def _copy(sources: list[Tensor], targets: list[Tensor] | list[nn.Parameter]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)
