"""The processes of a distributed training, one per device, and what they exchange.

A single process is a group of one, in which every exchange returns its input.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from fercli.distributed.messages import LostPeerError
from fercli.errors import FerError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of a training.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes, over all machines.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and decides when to stop."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """Return the leader's value; those of the other processes are ignored."""
        if self.size == 1:
            return value
        values = [value]
        with _losing_peers():
            dist.broadcast_object_list(values)
        return values[0]

    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with the leader's."""
        if self.size > 1:
            with _losing_peers():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)

    def sum_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its sum over all processes, and return it."""
        if self.size > 1:
            with _losing_peers():
                dist.all_reduce(tensor)
        return tensor

    def slice(self, count: int) -> slice:
        """Return this process's share of `count` items: contiguous, in order of the ranks, as equal as possible."""
        return even_slices(count, self.size)[self.rank]

    def gather_rows(self, rows: Tensor, count: int) -> Tensor:
        """Return the rows of all processes, in order.

        Args:
            rows: Those at `slice(count)`, on the CPU.
            count: Number of rows in all.
        """
        if self.size == 1:
            return rows
        slices = even_slices(count, self.size)
        longest = max(one.stop - one.start for one in slices)
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in slices]
        with _losing_peers():
            dist.all_gather(parts, padded)
        return torch.cat([part[: one.stop - one.start] for part, one in zip(parts, slices, strict=True)])


ALONE = Group()
"""A group of one process."""


def even_slices(count: int, parts: int) -> list[slice]:
    """Divide `count` items into contiguous parts whose sizes differ by at most one.

    >>> even_slices(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    ends = [count * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def current_group() -> Group:
    """Return the group that this process has joined, or a group of one."""
    if dist.is_available() and dist.is_initialized():
        return Group(dist.get_rank(), dist.get_world_size())
    return ALONE


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Join the group that torchrun's environment variables describe, while the block runs.

    Args:
        device: Device of this process; NCCL exchanges tensors on CUDA devices, Gloo those on the CPU.

    Raises:
        UsageError: the device cannot take part.
        FerError: the other processes cannot be reached.
    """
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"devices: several {device.type} devices cannot train together; use cuda or cpu")
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    except (RuntimeError, ValueError) as error:
        raise FerError(f"devices: the processes cannot reach each other ({error})") from error
    with _losing_peers():
        yield current_group()
    # Not after an error, since NCCL would wait here for processes that will never answer.
    dist.destroy_process_group()


def local_device(name: str) -> torch.device:
    """Return the device of this process under torchrun: with CUDA, that of its number on its machine.

    Raises:
        UsageError: the machine has fewer devices than processes, or `name` is a single device.
    """
    rank, cuda = int(os.environ["LOCAL_RANK"]), torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device: several processes cannot all use {name}; set device to cuda or cpu")
    if name == "cpu" or (name == "auto" and not cuda):
        return torch.device("cpu")
    if not cuda or rank >= torch.cuda.device_count():
        raise UsageError(f"devices: this machine has {torch.cuda.device_count()} CUDA devices, fewer than processes")
    return torch.device("cuda", rank)


@contextmanager
def _losing_peers() -> Iterator[None]:
    """Turn the errors of torch's exchanges into one line."""
    try:
        yield
    except RuntimeError as error:
        # Gloo raises plain RuntimeErrors, from its C++ files, also in the backward pass; NCCL has a class for all.
        text = str(error)
        if any(sign in text for sign in ("gloo", "remote process exited", "ncclRemoteError", "onnection", "aborted")):
            raise LostPeerError(_LOST) from error
        if isinstance(error, dist.DistBackendError):
            raise FerError(f"devices: the exchange between the processes failed ({text[:500]})") from error
        raise


_LOST = "another process of this training has ended; repeat the call to resume"
