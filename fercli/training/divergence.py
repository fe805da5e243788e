"""Noticing that a training diverges."""

from __future__ import annotations

import torch
from torch import Tensor

from fercli.errors import DivergedError

SMALLEST_SCALE = 2.0**-14
"""Loss scale of float16, halved whenever a gradient overflows: below this, the scale is not the cause."""


def check_finite(losses: Tensor, scaler: torch.amp.GradScaler, epoch: int, lr: float) -> None:
    """Check that the losses of an epoch's steps so far are finite, and the gradients too, at some scale.

    Args:
        losses: (steps,); the check waits for their device.
        scaler: The scaler of the loss.
        epoch: The epoch, from 1.
        lr: The learning rate at its begin.

    Raises:
        DivergedError: they are not.
    """
    finite = losses.isfinite()
    advice = ", or set precision to float32" if scaler.is_enabled() else ""
    if not bool(finite.all()):
        step = int(finite.logical_not().nonzero()[0]) + 1
        raise DivergedError(
            f"the loss is not finite in epoch {epoch}, step {step}, at a learning rate near {lr:.3g}; "
            f"lower lr, or clip the gradient with clip-norm 1{advice}"
        )
    if scaler.get_scale() < SMALLEST_SCALE:
        raise DivergedError(f"the gradient is not finite in epoch {epoch}, at any scale; lower lr{advice}")
