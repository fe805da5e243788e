"""The loss: cross entropy with class weights, label smoothing and soft targets, and the L1 penalty."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cross_entropy(
    logits: Tensor, targets: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean cross entropy, a scalar.

    This is torch's, except for soft targets with class weights, where torch divides by B: here they are divided by the
    total weight of the targets, the sum over i and c of weight_c target_ic, as torch does for labels. So one-hot
    targets give the same loss as the labels.

    Args:
        logits: (B, classes).
        targets: Labels, int64 (B,); or soft targets, float (B, classes), rows adding up to 1.
        weight: Class weights, (classes,).
        label_smoothing: Share of each target spread evenly over all classes.
    """
    loss = F.cross_entropy(logits, targets, weight, label_smoothing=label_smoothing)
    if weight is None or not targets.is_floating_point():
        return loss
    return loss * (len(targets) / (targets @ weight).sum())


def l1_penalty(model: nn.Module) -> Tensor:
    """Return the sum of the absolute values of the trainable weights of more than one dimension, a scalar.

    Biases and the scales of norm layers have one dimension and are left out: shrinking them makes nothing sparse.
    """
    weights: list[Tensor] = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    return torch.stack(torch._foreach_norm(weights, 1)).sum() if weights else torch.zeros(())


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Return N / (classes x count) for each class, float32 (classes,); 0 for a class that does not occur.

    Args:
        targets: Labels, int64 (N,); or soft targets, float (N, classes), which are summed (at least 1 per class).
        classes: Number of emotions.
    """
    soft = targets.is_floating_point()
    counts = targets.double().sum(0).float() if soft else torch.bincount(targets, minlength=classes).float()
    return torch.where(counts > 0, len(targets) / (classes * counts.clamp(min=1)), torch.zeros_like(counts))
