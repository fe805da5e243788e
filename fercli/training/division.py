"""Dividing each batch among devices, and into parts that a device processes one after another.

A batch always has as many faces as the settings say. Its random numbers are drawn for the whole batch, so each face is
augmented alike, however the batch is divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fercli.distributed.group import ALONE, Group, even_slices
from fercli.errors import UsageError


@dataclass(frozen=True)
class Draws:
    """The random numbers for a batch of B faces.

    Attributes:
        uniform: For the augmentation, (B, 12).
        flips: Which faces are mirrored, bool (B,); None: by `uniform`.
        mix: For MixUp and CutMix.
    """

    uniform: Tensor
    flips: Tensor | None
    mix: tuple[int, int]


@dataclass(frozen=True)
class Division:
    """How the batches of a phase are divided.

    Attributes:
        group: The devices.
        accumulate: Number of parts that each device processes one after another, summing up their gradients.
        mixing: Whether each face is mixed with the one before it in the batch.
    """

    group: Group = ALONE
    accumulate: int = 1
    mixing: bool = False

    @property
    def parts(self) -> int:
        """Number of parts of a batch."""
        return self.group.size * self.accumulate

    @property
    def overlaps(self) -> bool:
        """Whether each part begins with a face of the part before, which its own first face is mixed with."""
        return self.mixing and self.parts > 1

    def own_parts(self, count: int) -> list[Tensor]:
        """Return the positions of the faces in each of this device's parts of a batch of `count` faces."""
        first = self.group.rank * self.accumulate
        slices = even_slices(count, self.parts)[first : first + self.accumulate]
        return [torch.arange(one.start - self.overlaps, one.stop) % count for one in slices]

    def check(self, batches: Sequence[Tensor]) -> None:
        """Raise UsageError if a batch has fewer faces than parts."""
        smallest = min(map(len, batches))
        if smallest < self.parts:
            parts = [f"{self.group.size} devices"] if self.group.size > 1 else []
            parts += [f"{self.accumulate} parts (accumulate)"] if self.accumulate > 1 else []
            raise UsageError(
                f"batch-size: a batch of {smallest} {'face' if smallest == 1 else 'faces'} cannot be divided among "
                f"{' x '.join(parts)}; set a larger batch-size, or use fewer"
            )
