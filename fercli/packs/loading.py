"""A pack's faces for training: resident on the device if they fit, otherwise read from the files in large blocks.

A thread reads the next chunk of faces while the batches of the one before it are trained; others help it to read and
decode. So memory holds two chunks, whatever the size of the pack. If main memory can hold the files, the system keeps
them there, and any order of the faces costs the same. If not, and the pack is stored in shuffled order, an epoch reads
blocks in an order that mixes them in windows (`fercli.packs.epoch_order`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fercli.errors import DataError
from fercli.models.preprocessing import channels_first
from fercli.packs.epoch_order import Window, epoch_order
from fercli.packs.file import PackInfo, read_labels, read_votes, stored_images
from fercli.packs.stored import StoredImages, chunk_edges
from fercli.parallel import in_threads, num_threads

RESIDENT_SHARE = 0.4
"""A split is made resident if it takes at most this share of the device's free memory."""
CACHED_SHARE = 0.7
"""The files of a split are taken to stay in main memory if they are at most this share of what is free of it."""
WINDOW_BYTES = 256 << 20
"""Pixels of a window. Two are in memory at a time. Constant, so that the order is the same on all machines."""
CHUNK_BYTES = 32 << 20
"""Pixels that are read at a time if the order is uniform, or to copy a split to a device."""
BLOCK_BYTES = 2 << 20
"""Bytes in the files of a block of consecutive faces, at most; a window has at least `BLOCKS` of them."""
BLOCKS = 64


@dataclass(frozen=True)
class PackDataset:
    """A split's faces and labels.

    Attributes:
        images: uint8 (N, H, W) or (N, H, W, 3) in memory, or the files that contain them.
        labels: int64 (N,), on the CPU.
        device: Device for batches.
        resident: Whether the images are in the device's memory.
        votes: Soft targets to yield instead of labels, float32 (N, emotions), on the CPU.
        window: How an epoch of training mixes the faces; None: all with all.
        joint: Targets to yield instead of both, float32 (N, emotions + 2), on the CPU: a distribution over the
            emotions, and valence and arousal, NaN where there are none.
    """

    images: Tensor | StoredImages
    labels: Tensor
    device: torch.device
    resident: bool
    votes: Tensor | None = None
    window: Window | None = None
    joint: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __str__(self) -> str:
        if self.resident:
            return "faces in memory"
        if self.window is None:
            return "faces read from the disk's cache in uniform order"
        return f"faces read from the disk, shuffled in windows of {self.window.faces:,}"

    @property
    def targets(self) -> Tensor:
        """The targets of all faces: joint ones or votes if there are any, else labels."""
        if self.joint is not None:
            return self.joint
        return self.labels if self.votes is None else self.votes

    def with_window(self, window: tuple[int, int] | None) -> PackDataset:
        """Return the dataset with another way of mixing an epoch's faces: the fields of a `Window`, or None."""
        return replace(self, window=None if window is None else Window(*window))

    @property
    def affect(self) -> Tensor | None:
        """Valence and arousal, float32 (N, 2), NaN where there are none; None without joint targets."""
        return None if self.joint is None else self.joint[:, -2:]

    def subset(self, mask: npt.NDArray[np.bool_]) -> PackDataset:
        """Return the faces where `mask`, bool (N,), is true; images in memory are copied."""
        rows = torch.from_numpy(mask.nonzero()[0])
        if isinstance(self.images, Tensor):
            images: Tensor | StoredImages = self.images.index_select(0, rows.to(self.images.device))
        else:
            images = self.images.select(rows.numpy())
        votes = None if self.votes is None else self.votes[rows]
        joint = None if self.joint is None else self.joint[rows]
        return replace(self, images=images, labels=self.labels[rows], votes=votes, joint=joint)

    def epoch_order(self, generator: torch.Generator) -> Tensor:
        """Return the order of the faces in an epoch of training, int64 (N,), drawn from a generator on the CPU."""
        return epoch_order(len(self), self.window, generator)

    def batches(self, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of the faces at `order` (int64, CPU), as `fetch` does."""
        return self.fetch(torch.split(order, batch_size))

    def fetch(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the faces at each tensor of indices (int64, CPU), on the device: uint8 (B, C, H, W), and their targets.

        Targets are labels, int64 (B,), with votes soft targets, float32 (B, emotions), or joint ones. In an epoch of
        training these are this device's parts of its batches, in order; how fast they are read depends on that, but not
        what is read.
        """
        images = self.images
        if isinstance(images, Tensor):
            for part in batches:
                yield self._on_device(images.index_select(0, part.to(images.device)), part)
            return
        faces = self.window.faces if self.window else max(1, CHUNK_BYTES // images.face_bytes)
        edges = chunk_edges([len(part) for part in batches], len(self), faces)
        chunks = [batches[first:last] for first, last in pairwise(edges)]
        largest = max((sum(map(len, chunk)) for chunk in chunks), default=0)
        # Used in turn, since new memory of this size costs nearly as much as reading; batches are copied from them.
        buffers = [np.empty((largest, *images.shape[1:]), np.uint8) for _ in chunks[:2]]

        def read(number: int) -> tuple[Tensor, Tensor]:
            """Read the faces of a chunk in the order of the files; return them, and where those of its batches are."""
            rows, places = np.unique(torch.cat(list(chunks[number])).numpy(), return_inverse=True)
            found = images.read(rows, buffers[number % 2][: len(rows)])
            return torch.from_numpy(found), torch.from_numpy(places)

        for chunk, (faces_read, places) in zip(chunks, in_threads(read, range(len(chunks)), 1, ahead=1), strict=True):
            for part, own in zip(chunk, torch.split(places, [len(part) for part in chunk]), strict=True):
                yield self._on_device(faces_read.index_select(0, own), part)

    def _on_device(self, images: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
        return channels_first(images.to(self.device)), self.targets[part].to(self.device)


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
        resident: Keep the images in the device's memory, or read them when needed; None decides by free memory.
        votes: Yield the split's votes as targets, if it has any.
        sharing: Number of processes that share the machine's cores, and its memory if the device is the CPU.

    Raises:
        DataError: the pack has no such split, or it is empty or cannot be read.
    """
    labels = torch.from_numpy(read_labels(info, split).astype(np.int64))
    if not len(labels):
        raise DataError(f"{info.file.parent}: the {split} split is empty")
    if resident is None:
        copies = sharing if device.type == "cpu" else 1
        resident = copies * info.image_bytes(split) <= RESIDENT_SHARE * free_memory(device)
    # All processes of a machine decode at the same time.
    stored = replace(stored_images(info, split), workers=max(1, num_threads(None) // sharing))
    images = _read_to(stored, device) if resident else stored
    window = None if resident or _stays_cached(stored) else disk_window(stored)
    soft = read_votes(info, split) if votes else None
    return PackDataset(images, labels, device, resident, None if soft is None else torch.from_numpy(soft), window)


def _read_to(stored: StoredImages, device: torch.device) -> Tensor:
    """Read all images to a device, a chunk at a time, so that main memory holds no second copy."""
    images = torch.empty(stored.shape, dtype=torch.uint8, device=device)
    step = max(1, CHUNK_BYTES // stored.face_bytes)
    for start in range(0, len(stored), step):
        rows = np.arange(start, min(start + step, len(stored)))
        if device.type == "cpu":
            stored.read(rows, images[start : start + step].numpy())
        else:
            images[start : start + step] = torch.from_numpy(stored.read(rows))
    return images


def _stays_cached(stored: StoredImages) -> bool:
    """Return whether the system can keep the files in main memory."""
    return stored.stored_bytes <= CACHED_SHARE * free_memory(torch.device("cpu"))


def disk_window(stored: StoredImages) -> Window | None:
    """Return how an epoch mixes faces that are read from the disk.

    None, which reads face by face, unless they are stored in shuffled order: otherwise whole windows would be of one
    emotion.
    """
    if not stored.shuffled:
        return None
    faces = max(1, WINDOW_BYTES // stored.face_bytes)
    mean = max(1, stored.stored_bytes // len(stored))
    return Window(faces, max(1, min(BLOCK_BYTES // mean, faces // BLOCKS)))


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
