"""Images of a pack in files, of which any are read in large blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.errors import DataError
from fercli.files import open_file
from fercli.images import Color, Pixels
from fercli.packs.jpeg import decode_face
from fercli.packs.storage import Codec
from fercli.parallel import in_threads

BLOCK = 4 << 20
"""Bytes read at a time."""
GAP = 1 << 16
"""Bytes that nobody asked for but are read if what was asked for is on both sides of them: a new read takes longer."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Block:
    """A part of a file to read: bytes `start` to `end`, which contain the images at `positions` of a request."""

    file: int
    start: int
    end: int
    positions: Rows


@dataclass(frozen=True)
class StoredImages:
    """N images in files.

    Attributes:
        files: The files.
        file: The file of each image, (N,).
        start: The position of each image in its file in bytes, (N,).
        length: Its size there, (N,).
        size: Height and width.
        color: gray or rgb.
        codec: raw or jpeg.
        shuffled: Whether the images are in random order, so that any block is a sample of all.
        workers: Threads that read and decode; None for one per CPU core.
    """

    files: tuple[Path, ...]
    file: Rows
    start: Rows
    length: Rows
    size: int
    color: Color
    codec: Codec = "raw"
    shuffled: bool = False
    workers: int | None = None

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, number: int) -> Pixels:
        """Read one image, uint8 (H, W) or (H, W, 3)."""
        image: Pixels = self.read(np.array([number]))[0]
        return image

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W) or (N, H, W, 3)."""
        return (len(self), self.size, self.size) if self.color == "gray" else (len(self), self.size, self.size, 3)

    @property
    def stored_bytes(self) -> int:
        """Size of all of them in the files."""
        return int(self.length.sum())

    @property
    def face_bytes(self) -> int:
        """Size of one of them in memory."""
        return int(np.prod(self.shape[1:]))

    def select(self, rows: Rows) -> StoredImages:
        """Return the images at `rows`, (M,); nothing is read."""
        return StoredImages(
            self.files, self.file[rows], self.start[rows], self.length[rows],
            self.size, self.color, self.codec, self.shuffled, self.workers,
        )  # fmt: skip

    def read(self, rows: Rows | None = None, out: Pixels | None = None) -> Pixels:
        """Read the images at `rows`, (M,), or all, in the order of the files, by several threads.

        Args:
            rows: Their positions.
            out: Memory to read them into, uint8 (M, H, W) or (M, H, W, 3).

        Raises:
            DataError: a file is missing or ends early, or an image cannot be decoded.
            IndexError: there are no such rows.
        """
        rows = np.arange(len(self)) if rows is None else rows
        images = np.empty((len(rows), *self.shape[1:]), np.uint8) if out is None else out
        blocks = self._blocks(rows)
        with ExitStack() as stack:
            opened = self._open(stack, {block.file for block in blocks})

            def fill(block: _Block) -> None:
                self._fill(block, rows, images, opened[block.file])

            for _ in in_threads(fill, blocks, 0 if len(blocks) == 1 and self.codec == "raw" else self.workers):
                pass
        return images

    def encoded(self, rows: Rows) -> Iterator[bytes]:
        """Yield the bytes of the images at `rows` as they are stored."""
        for row in rows:
            with ExitStack() as stack:
                number = int(self.file[row])
                opened = self._open(stack, {number})[number]
                start = int(self.start[row])
                yield bytes(self._pread(opened, number, start, start + int(self.length[row])))

    def _open(self, stack: ExitStack, numbers: set[int]) -> dict[int, int]:
        """Open files, and return their descriptors by number."""
        try:
            return {number: stack.enter_context(open_file(self.files[number])).fileno() for number in numbers}
        except OSError as error:
            raise DataError(f"{error.filename}: {error.strerror or error}; re-pack the dataset") from error

    def _blocks(self, rows: Rows) -> list[_Block]:
        """Return the parts of the files that contain `rows`, each of at most `BLOCK` bytes, or one image."""
        if not len(rows):
            return []
        file, start = self.file[rows], self.start[rows]
        end = start + self.length[rows]
        order = np.lexsort((start, file))
        file, start, end = file[order], start[order], end[order]
        apart = (file[1:] != file[:-1]) | (start[1:] - end[:-1] > GAP)
        edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(rows)]
        blocks, limit = [], self._limit()
        for first, last in pairwise(edges):
            while first < last:
                stop = first + max(1, int(np.searchsorted(end[first:last], start[first] + limit, "right")))
                blocks.append(_Block(int(file[first]), int(start[first]), int(end[stop - 1]), order[first:stop]))
                first = stop
        return blocks

    def _limit(self) -> int:
        """Return the maximum size of a block: small enough for several threads to decode at the same time."""
        return BLOCK if self.codec == "raw" else BLOCK // 16

    def _fill(self, block: _Block, rows: Rows, images: Pixels, handle: int) -> None:
        """Read a block, and store its images in their places."""
        first, count = int(block.positions[0]), len(block.positions)
        own = rows[block.positions]
        # Repeated images and gaps could add up to the length of as many images.
        whole = (np.diff(self.start[own]) == self.face_bytes).all() and (np.diff(block.positions) == 1).all()
        if self.codec == "raw" and whole and images.flags.c_contiguous:  # as stored: read it where it belongs
            self._pread(handle, block.file, block.start, block.end, images[first : first + count].reshape(-1))
            return
        data = self._pread(handle, block.file, block.start, block.end)
        starts = self.start[own] - block.start
        if self.codec == "raw":
            faces = data.reshape(-1, *self.shape[1:])  # a block of raw images is made of whole ones
            images[block.positions] = faces[starts // self.face_bytes]
            return
        view = data.data
        for position, row, start in zip(block.positions, own, starts.tolist(), strict=True):
            name = f"{self.files[block.file]}: image at byte {block.start + start:,}"
            images[position] = decode_face(view[start : start + int(self.length[row])], self.size, self.color, name)

    def _pread(self, handle: int, number: int, start: int, end: int, out: Pixels | None = None) -> Pixels:
        """Read bytes `start` to `end` of a file, to `out` if it is given."""
        data = np.empty(end - start, np.uint8) if out is None else out
        view, done = data.data, 0
        while done < len(data):
            count = os.preadv(handle, [view[done:]], start + done)
            if not count:
                raise DataError(f"{self.files[number]}: ends early, at byte {start + done:,}; re-pack the dataset")
            done += count
        return data


def chunk_edges(sizes: Sequence[int], total: int, chunk: int) -> list[int]:
    """Divide parts of an epoch into chunks to read at a time; return the index of each chunk's first part, and the end.

    A device has the same share of every batch. So a part belongs to the chunk of `chunk` faces of the epoch in which it
    begins, if the parts are taken as evenly spread over the epoch: then all devices read the same blocks.

    Args:
        sizes: Faces of each part.
        total: Faces of the epoch, of all devices.
        chunk: Faces of the epoch that a chunk is for.

    >>> chunk_edges([2, 2, 2, 2], 16, 8)
    [0, 2, 4]
    """
    begins = np.cumsum([0, *sizes])
    numbers = begins[:-1] * total // max(1, int(begins[-1])) // max(1, chunk)
    return [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(sizes)] if len(sizes) else [0]
