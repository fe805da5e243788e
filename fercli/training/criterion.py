"""The loss of the logits, as a training phase sets it: cross entropy, or its focal or logit-adjusted form."""

from __future__ import annotations

import torch
from torch import Tensor

from fercli.recipes import PhaseSettings
from fercli.training.losses import class_weights, cross_entropy, focal_loss, logit_offsets


class Criterion:
    """The loss of the logits. Without `focal` and `logit_adjustment` it is plain cross entropy.

    Args:
        settings: The settings of the phase.
        targets: Those of all training faces, for class weights and priors: labels, int64 (N,), or soft targets, float
            (N, classes).
        classes: Number of emotions.
        device: Device of the logits.
    """

    def __init__(self, settings: PhaseSettings, targets: Tensor, classes: int, device: torch.device) -> None:
        self._focal, self._smoothing, tau = settings.focal, settings.label_smoothing, settings.logit_adjustment
        self._weight = class_weights(targets, classes).to(device) if settings.class_weights else None
        self._offsets = logit_offsets(targets, classes, tau).to(device) if tau else None

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss, a scalar.

        Args:
            logits: float32 (B, classes).
            targets: Labels, int64 (B,); or soft targets, float (B, classes), rows adding up to 1.
        """
        if self._offsets is not None:
            logits = logits + self._offsets
        if self._focal:
            return focal_loss(logits, targets, self._focal, self._weight, self._smoothing)
        return cross_entropy(logits, targets, self._weight, self._smoothing)

    def weight_of(self, targets: Tensor) -> Tensor | int:
        """Return by how much the mean loss of these faces counts in that of more faces: their total class weight."""
        if self._weight is None:
            return len(targets)
        weight = self._weight.to(targets.device)
        return ((targets @ weight) if targets.is_floating_point() else weight[targets]).sum()
