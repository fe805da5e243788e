"""A pack's faces for training: resident on the device if they fit, otherwise memory-mapped.

Contiguous HDF5 data can be memory-mapped, so a pack larger than memory needs no loader workers: the system pages in
what a batch touches, and a thread prefetches the next batch while the current one trains.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fercli.errors import DataError
from fercli.models.preprocessing import channels_first
from fercli.packs.file import PackInfo, read_labels, read_split, read_votes
from fercli.parallel import in_threads

RESIDENT_SHARE = 0.4
"""A split is made resident if it takes at most this share of the device's free memory."""


@dataclass(frozen=True)
class PackDataset:
    """A split's faces and labels.

    Attributes:
        images: uint8 (N, H, W) or (N, H, W, 3), on the device, or memory-mapped on the CPU.
        labels: int64 (N,), on the CPU.
        device: Device for batches.
        resident: Whether the images are in the device's memory.
        votes: Soft targets to yield instead of labels, float32 (N, emotions), on the CPU.
        joint: Targets to yield instead of both, float32 (N, emotions + 2), on the CPU: a distribution over the
            emotions, and valence and arousal, NaN where there are none.
    """

    images: Tensor
    labels: Tensor
    device: torch.device
    resident: bool
    votes: Tensor | None = None
    joint: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def targets(self) -> Tensor:
        """The targets of all faces: joint ones or votes if there are any, else labels."""
        if self.joint is not None:
            return self.joint
        return self.labels if self.votes is None else self.votes

    @property
    def affect(self) -> Tensor | None:
        """Valence and arousal, float32 (N, 2), NaN where there are none; None without joint targets."""
        return None if self.joint is None else self.joint[:, -2:]

    def subset(self, mask: npt.NDArray[np.bool_]) -> PackDataset:
        """Return the faces where `mask`, bool (N,), is true; their images are copied."""
        rows = torch.from_numpy(mask.nonzero()[0])
        images = self.images.index_select(0, rows.to(self.images.device))
        votes = None if self.votes is None else self.votes[rows]
        joint = None if self.joint is None else self.joint[rows]
        return replace(self, images=images, labels=self.labels[rows], votes=votes, joint=joint)

    def batches(self, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of the faces at `order` (int64, CPU), as `fetch` does."""
        return self.fetch(torch.split(order, batch_size))

    def fetch(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the faces at each tensor of indices (int64, CPU), on the device: uint8 (B, C, H, W), and their targets.

        Targets are labels, int64 (B,), with votes soft targets, float32 (B, emotions), or joint ones.
        """
        if self.resident:
            yield from map(self._fetch, batches)
            return
        yield from in_threads(self._fetch, batches, 1, ahead=1)

    def _fetch(self, part: Tensor) -> tuple[Tensor, Tensor]:
        images = self.images.index_select(0, part.to(self.images.device)).to(self.device)
        return channels_first(images), self.targets[part].to(self.device)


def split_batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split the faces of an epoch of training into batches.

    A last batch of at most half the size is dropped, since its batch-norm statistics would be poor, unless it is the
    only one.
    """
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and 2 * len(batches[-1]) <= batch_size:
        batches.pop()
    return batches


def load_pack(
    info: PackInfo,
    split: str,
    device: torch.device,
    *,
    resident: bool | None = None,
    votes: bool = False,
    sharing: int = 1,
) -> PackDataset:
    """Load a split for training.

    Args:
        info: The pack.
        split: One of its splits.
        device: Device for batches.
        resident: Keep the images in the device's memory, or memory-map them; None decides by free memory.
        votes: Yield the split's votes as targets, if it has any.
        sharing: Number of processes that share the main memory, if the device is the CPU.

    Raises:
        DataError: the pack has no such split, or it is empty or cannot be read.
    """
    labels = torch.from_numpy(read_labels(info, split).astype(np.int64))
    if not len(labels):
        raise DataError(f"{info.file.parent}: the {split} split is empty")
    if resident is None:
        copies = sharing if device.type == "cpu" else 1
        resident = copies * info.image_bytes(split) <= RESIDENT_SHARE * free_memory(device)
    if resident:
        images = torch.from_numpy(read_split(info, split).images).to(device)
    else:
        images = _memory_map(info, split)
    soft = read_votes(info, split) if votes else None
    return PackDataset(images, labels, device, resident, None if soft is None else torch.from_numpy(soft))


def _memory_map(info: PackInfo, split: str) -> Tensor:
    with h5py.File(info.file, "r") as file:
        images = file[split]["images"]
        offset, shape = images.id.get_offset(), images.shape
    if offset is None:
        raise DataError(f"{info.file}: {split}/images is not contiguous; re-pack the dataset")
    # Copy-on-write, since torch requires writable memory; the file itself is never modified.
    return torch.from_numpy(np.memmap(info.file, np.uint8, "c", offset, shape))


def free_memory(device: torch.device) -> int:
    """Return the free memory of the device in bytes; for devices that share main memory, what is available there."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo") as file:
            kilobytes = next(line.split()[1] for line in file if line.startswith("MemAvailable"))
        return int(kilobytes) * 1024
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
