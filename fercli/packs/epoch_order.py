"""The order of an epoch of training over faces that are read from a disk: blocks in random order, mixed in windows.

A uniform order reads every face by itself, which a disk does slowly. Here an epoch is divided into blocks of
consecutive faces, the blocks are put in random order, and as many of them as memory may hold, a window, are shuffled.
Since the faces of such a pack are stored in shuffled order, each window is a random sample of all, and so is each
batch. What remains of the order on the disk: the faces of a block come within one window of each other in every epoch.
The edges of the blocks differ from epoch to epoch, so that these are not always the same faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """How faces are mixed.

    Attributes:
        faces: Number of faces shuffled together.
        block: Number of consecutive faces that are read together.
    """

    faces: int
    block: int


def epoch_order(count: int, window: Window | None, generator: torch.Generator) -> Tensor:
    """Return a permutation of `count` faces, int64 (N,), that depends on the generator alone.

    Args:
        count: Number of faces.
        window: How they are mixed; None: all with all, which gives every permutation with the same probability.
        generator: On the CPU.
    """
    if window is None:
        return torch.randperm(count, generator=generator)
    offset = int(torch.randint(window.block, (), generator=generator))
    blocks = (torch.arange(count) + offset) // window.block
    rank = torch.randperm(int(blocks[-1]) + 1, generator=generator)[blocks]
    order = torch.argsort(rank, stable=True)  # blocks in random order, each in itself as stored
    place = torch.rand(count, generator=generator, dtype=torch.float64)
    return order[torch.argsort(torch.arange(count) // window.faces + place, stable=True)]
