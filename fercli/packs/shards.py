"""The shards of a large pack: the files with its images, beside the index `faces.h5`.

    shards/00001.bin  the images one after another, without gaps: uint8 H x W or H x W x 3, or JPEG files
    faces.h5          all else of the pack; and of the shards:
      /shards/images   uint64 (S,), number of images of each
      /shards/bytes    uint64 (S,), its size
      /shards/sha256   uint8 (S, 32), its digest
      /<split>/lengths         uint32 (N,), bytes of each image, if they are JPEG
      /<split>/encoded_sha256  uint8 (N, 32), the digest of these bytes
    attributes: codec (raw or jpeg), in addition to those of every pack

The shards hold the splits one after another, in the order train, validation, test, unlabelled. The index contains the
digest of each shard, and the manifest that of the index; so the shards can be hashed at the same time, and none can be
changed or exchanged unnoticed. They are plain bytes: unlike HDF5, they have no structure that could be malicious.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
import numpy.typing as npt

from fercli.datasets.index import SPLITS, UNLABELLED, Row
from fercli.files import preallocate
from fercli.packs.jpeg import encode_face
from fercli.packs.storage import Storage

FOLDER = "shards"
FORMAT = 2
"""Format of the index of a pack with shards."""


@dataclass(frozen=True)
class Shard:
    """A file of images.

    Attributes:
        file: Its path.
        images: Number of images.
        bytes: Its size.
        digest: Its SHA-256.
    """

    file: Path
    images: int
    bytes: int
    digest: str


def file_of(pack: Path, number: int) -> Path:
    """Return the path of a shard, from 0."""
    return pack / FOLDER / f"{number + 1:05d}.bin"


def stored_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows in the order of a pack with shards: split by split, each shuffled, always alike.

    Datasets are often sorted by emotion, but an epoch that reads large blocks must find all emotions in each. So the
    rows are sorted by a digest of their path, which is as good as random and the same with every version of everything.
    """
    order = {split: number for number, split in enumerate((*SPLITS, UNLABELLED))}
    return sorted(rows, key=lambda row: (order[row.split], hashlib.sha256(row.path.encode()).digest()))


class ShardWriter(AbstractContextManager["ShardWriter"]):
    """Writes images, one after another, to shards of equal numbers of images.

    Attributes:
        written: The shards written so far.
        lengths: Bytes of each JPEG written since `finish_split`.
        digests: Their SHA-256.
    """

    def __init__(self, pack: Path, storage: Storage, images: int, image_bytes: int) -> None:
        """Allocate the disk space for raw shards, so that a full disk is noticed before the work begins.

        Args:
            pack: Folder of the pack.
            storage: How it stores images.
            images: Number of all images.
            image_bytes: Size of one without coding.
        """
        self._pack, self._storage = pack, storage
        edges = [images * k // storage.shards for k in range(storage.shards + 1)]
        self._images = [end - start for start, end in pairwise(edges)]
        self.written: list[Shard] = []
        self.lengths: list[int] = []
        self.digests: list[bytes] = []
        self._file: BinaryIO | None = None
        self._count = self._size = 0
        self._digest = hashlib.sha256()
        (pack / FOLDER).mkdir()
        if storage.codec == "raw":
            for number, count in enumerate(self._images):
                preallocate(file_of(pack, number), count * image_bytes)

    @property
    def size(self) -> int:
        """Bytes of all shards written so far."""
        return sum(shard.bytes for shard in self.written)

    def encode(self, pixels: npt.NDArray[np.uint8]) -> bytes:
        """Return an image as it is stored; called in threads."""
        return pixels.tobytes() if self._storage.codec == "raw" else encode_face(pixels, self._storage.quality)

    def append(self, images: Iterable[bytes]) -> None:
        """Write encoded images."""
        for data in images:
            number = len(self.written)
            if self._file is None:  # keeps the space that was allocated
                path = file_of(self._pack, number)
                self._file = path.open("r+b" if path.exists() else "wb")
            self._file.write(data)
            self._digest.update(data)
            self._count, self._size = self._count + 1, self._size + len(data)
            if self._storage.codec != "raw":
                self.lengths.append(len(data))
                self.digests.append(hashlib.sha256(data).digest())
            if self._count == self._images[number]:
                self._finish_shard()

    def finish_split(self, group: h5py.Group) -> None:
        """Write what the index says about the JPEGs of the split that was just written."""
        if self._storage.codec != "raw":
            group.create_dataset("lengths", data=np.array(self.lengths, np.uint32))
            digests = np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, 32)
            group.create_dataset("encoded_sha256", data=digests)
        self.lengths, self.digests = [], []

    def finish(self, file: h5py.File) -> None:
        """Write what the index says about the shards."""
        assert self._file is None, "a shard is not complete"
        group = file.create_group(FOLDER)
        group.create_dataset("images", data=np.array([shard.images for shard in self.written], np.uint64))
        group.create_dataset("bytes", data=np.array([shard.bytes for shard in self.written], np.uint64))
        digests = b"".join(bytes.fromhex(shard.digest) for shard in self.written)
        group.create_dataset("sha256", data=np.frombuffer(digests, np.uint8).reshape(-1, 32))
        file.attrs.update(format=FORMAT, codec=self._storage.codec)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def _finish_shard(self) -> None:
        assert self._file is not None
        self._file.close()
        path = file_of(self._pack, len(self.written))
        self.written.append(Shard(path, self._count, self._size, self._digest.hexdigest()))
        self._file, self._count, self._size, self._digest = None, 0, 0, hashlib.sha256()
