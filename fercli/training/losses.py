"""The loss: cross entropy with class weights, label smoothing and soft targets, its focal form, and the L1 penalty."""

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


def focal_loss(
    logits: Tensor, targets: Tensor, gamma: float, weight: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean focal loss, a scalar (Lin et al. 2017, "Focal loss for dense object detection", equation 4).

    The cross entropy of each face is multiplied by (1 - p_t)^gamma, where p_t is the probability of its label. For
    soft targets, which the paper does not have, p_t is the expected probability of the target: the sum over c of
    target_c p_c, which for one-hot targets is the label's. So all emotions of one face have one factor, and the shares
    that MixUp or annotators give them keep their ratio. Label smoothing changes the cross entropy, not the factor.
    With class weights it is the alpha-balanced form (equation 5); the mean is divided by the weights of the targets,
    without the factor, as in `cross_entropy`, to which it is equal for a gamma of 0.

    Args:
        logits: (B, classes).
        targets: Labels, int64 (B,); or soft targets, float (B, classes), rows adding up to 1.
        gamma: At least 0.
        weight: Class weights, (classes,).
        label_smoothing: Share of each target spread evenly over all classes.
    """
    if not gamma:
        return cross_entropy(logits, targets, weight, label_smoothing)
    losses = F.cross_entropy(logits, targets, weight, reduction="none", label_smoothing=label_smoothing)
    p = logits.softmax(1)
    soft = targets.is_floating_point()
    p_t = (p * targets).sum(1) if soft else p.gather(1, targets[:, None])[:, 0]
    # Of 0, a power below 1 has no finite gradient.
    factor = (1 - p_t).clamp(min=torch.finfo(p.dtype).eps) ** gamma
    if weight is None:
        return (factor * losses).mean()
    return (factor * losses).sum() / ((targets @ weight) if soft else weight[targets]).sum()


def logit_offsets(targets: Tensor, classes: int, tau: float) -> Tensor:
    """Return tau log pi_c, float32 (classes,), which the logit-adjusted loss adds to the logits.

    The cross entropy of f(x) + tau log pi (Menon et al. 2021, "Long-tail learning via logit adjustment", equation 10)
    asks for a larger margin of rare classes. With a tau of 1 the classifier of the unadjusted f(x) is consistent for
    the balanced error, the mean of the classes' errors. Predictions are made without the offsets.

    Args:
        targets: The training labels, int64 (N,); or soft targets, float (N, classes), which are summed. pi is the share
            of each class in them; one that does not occur counts as one face, so that its logarithm is finite.
        classes: Number of emotions.
        tau: The strength.
    """
    counts = _counts(targets, classes).clamp(min=1)
    return tau * (counts / counts.sum()).log()


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
    counts = _counts(targets, classes)
    return torch.where(counts > 0, len(targets) / (classes * counts.clamp(min=1)), torch.zeros_like(counts))


def _counts(targets: Tensor, classes: int) -> Tensor:
    """Return the number of faces of each class, or the sum of their soft targets, float32 (classes,)."""
    soft = targets.is_floating_point()
    return targets.double().sum(0).float() if soft else torch.bincount(targets, minlength=classes).float()
