"""MixUp and CutMix: each face of a batch mixed with another one, its target with the other's.

MixUp: Zhang et al. 2018, "mixup: beyond empirical risk minimization". CutMix: Yun et al. 2019, "CutMix: regularization
strategy to train strong classifiers with localizable features". Both are torchvision's, which draw once a batch and
mix each face with the one before it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fercli.recipes import Settings


class MixupCutmix:
    """What a stage of the training mixes by. Where its settings have both ways, each batch draws one at equal odds.

    Args:
        settings: Their `mixup` and `cutmix`, the alphas of the beta distribution that shares are drawn from.
        classes: Number of emotions.
    """

    def __init__(self, settings: Settings, classes: int) -> None:
        self._ways: list[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = []
        if not (settings.mixup or settings.cutmix):
            return
        from torchvision.transforms import v2  # slow to import, for the few trainings that mix

        if settings.mixup:
            self._ways.append(v2.MixUp(alpha=settings.mixup, num_classes=classes))
        if settings.cutmix:
            self._ways.append(v2.CutMix(alpha=settings.cutmix, num_classes=classes))

    def __call__(self, faces: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        Args:
            faces: (B, C, H, W).
            targets: Labels, int64 (B,); or soft targets, float (B, classes).
            generator: On the CPU, so that the draws are the same on every device.

        Returns:
            Mixed faces, (B, C, H, W), and soft targets, float (B, classes), in the faces' shares; the same as given
            where the settings name no way.
        """
        if not self._ways:
            return faces, targets
        which, seed = torch.randint(2**31, (2,), generator=generator).tolist()
        # torchvision draws from torch's own generator: it gets a seed for the while, and goes on as it was.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            mixed, shares = self._ways[which % len(self._ways)](faces, targets)
        return mixed, shares
