"""MixUp and CutMix: each face of a batch and its target are mixed with another one.

MixUp: Zhang et al. 2018, "mixup: beyond empirical risk minimization". CutMix: Yun et al. 2019, "CutMix: regularization
strategy to train strong classifiers with localizable features". Both are torchvision's, which sample once per batch and
mix each face with the one before it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fercli.recipes import PhaseSettings


class MixupCutmix:
    """MixUp or CutMix, as enabled in a training phase. If both are, each batch uses one with equal probability.

    Args:
        settings: `mixup` and `cutmix` are the alphas of the beta distribution of the mixing ratio.
        classes: Number of emotions.
    """

    def __init__(self, settings: PhaseSettings, classes: int) -> None:
        self._transforms: list[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = []
        if not (settings.mixup or settings.cutmix):
            return
        from torchvision.transforms import v2  # slow to import, and rarely used

        if settings.mixup:
            self._transforms.append(v2.MixUp(alpha=settings.mixup, num_classes=classes))
        if settings.cutmix:
            self._transforms.append(v2.CutMix(alpha=settings.cutmix, num_classes=classes))

    @property
    def enabled(self) -> bool:
        """Whether the settings enable either."""
        return bool(self._transforms)

    def draw(self, generator: torch.Generator) -> tuple[int, int]:
        """Return the random numbers for a batch: which transform is used, and a seed.

        Args:
            generator: On the CPU, so that the random numbers are the same on every device.
        """
        choice, seed = torch.randint(2**31, (2,), generator=generator).tolist() if self.enabled else (0, 0)
        return choice, seed

    def __call__(self, faces: Tensor, targets: Tensor, drawn: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Mix each face of a batch with the one before it, the first with the last.

        Args:
            faces: (B, C, H, W).
            targets: Labels, int64 (B,); or soft targets, float (B, classes).
            drawn: From `draw`.

        Returns:
            Mixed faces, (B, C, H, W), and soft targets, float (B, classes), mixed in the same ratio; the inputs
            unchanged if the settings enable neither.
        """
        if not self._transforms:
            return faces, targets
        choice, seed = drawn
        # torchvision uses torch's global generator: seed it here, and restore its state afterwards.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            mixed, soft_targets = self._transforms[choice % len(self._transforms)](faces, targets)
        return mixed, soft_targets
