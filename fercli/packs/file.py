"""The pack's file, `faces.h5`: layout, writing and safe reading.

    /<split>/images  uint8 (N, H, W) or (N, H, W, 3), contiguous
    /<split>/labels  uint8 (N,), indices into the emotions
    /<split>/votes   float32 (N, emotions), soft targets, rows summing to 1; only if any image of the split has votes
    /<split>/paths   UTF-8 strings (N,), paths within the dataset
    /<split>/sha256  uint8 (N, 32), digests of the dataset's images (`fercli.images.pixel_digest`)
    attributes: format, emotions (JSON), size, color, source (the dataset's digest); see also `fercli.packs.affect`

The manifest holds the SHA-256 of the whole file, from which `open_pack` detects modifications. Large packs have their
images in other files, the shards (`fercli.packs.shards`), whose digests are in this one. Those of both are read by
`fercli.packs.stored`.

Images are contiguous, because compressed chunks read hundreds of times slower, and never normalised, because
normalising twice is a classic mistake: the pack stores raw pixels, and the checkpoint defines the preprocessing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fercli.datasets.index import SPLITS, UNLABELLED
from fercli.errors import DataError
from fercli.images import Color, Pixels
from fercli.packs.layout import FORMAT, attributes, check_shards, check_split, check_votes, codec_of
from fercli.packs.shards import Shard
from fercli.packs.storage import Codec
from fercli.packs.stored import StoredImages

Votes = npt.NDArray[np.float32]

FILE = "faces.h5"


@dataclass(frozen=True)
class PackInfo:
    """Metadata of a pack.

    Attributes:
        file: The HDF5 file.
        emotions: Names, in label order.
        size: Height and width in pixels.
        color: gray or rgb.
        counts: Number of images by split.
        digest: The pack's digest.
        splits_with_votes: The splits that have votes.
        shards: The files with its images, in order, if they are not in `file`.
        codec: How the shards store an image.
    """

    file: Path
    emotions: tuple[str, ...]
    size: int
    color: Color
    counts: dict[str, int]
    digest: str
    splits_with_votes: frozenset[str] = frozenset()
    shards: tuple[Shard, ...] = ()
    codec: Codec = "raw"

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.color == "gray" else 3

    def image_bytes(self, split: str) -> int:
        """Return the size of a split's images in memory, in bytes."""
        return self.counts[split] * self.face_bytes

    @property
    def face_bytes(self) -> int:
        """Size of an image in memory, in bytes."""
        return self.size * self.size * self.channels

    @property
    def stored_bytes(self) -> int:
        """Mean size of an image on the disk, in bytes."""
        images = sum(self.counts.values())
        return sum(shard.bytes for shard in self.shards) // images if self.shards and images else self.face_bytes


@dataclass(frozen=True)
class PackSplit:
    """One split in memory.

    Attributes:
        images: uint8 (N, H, W) or (N, H, W, 3).
        labels: uint8 (N,).
        paths: N paths within the dataset.
        sha256: uint8 (N, 32).
        votes: float32 (N, emotions), rows summing to 1, if the split has votes.
        splits: The split of each image, N names, if several splits were read together.
    """

    images: Pixels
    labels: npt.NDArray[np.uint8]
    paths: list[str]
    sha256: npt.NDArray[np.uint8]
    votes: Votes | None = None
    splits: list[str] | None = None


def create_split(file: h5py.File, split: str, count: int, size: int, color: Color) -> h5py.Dataset:
    """Create a split's group and return its empty `images` dataset, to be filled in place."""
    shape = (count, size, size) if color == "gray" else (count, size, size, 3)
    images: h5py.Dataset = file.create_group(split).create_dataset("images", shape, np.uint8)
    return images


def finish_split(
    file: h5py.File, split: str, labels: list[int], paths: list[str], sha256: list[str], votes: Votes | None = None
) -> None:
    """Write a split's labels, paths, digests and votes."""
    group = file[split]
    group.create_dataset("labels", data=np.asarray(labels, np.uint8))
    group.create_dataset("paths", data=np.asarray(paths, dtype=object), dtype=h5py.string_dtype("utf-8"))
    digests = np.frombuffer(bytes.fromhex("".join(sha256)), np.uint8).reshape(-1, 32)
    group.create_dataset("sha256", data=digests)
    if votes is not None:
        group.create_dataset("votes", data=np.asarray(votes, np.float32))


def write_attributes(file: h5py.File, emotions: list[str], size: int, color: Color, source: str) -> None:
    """Write the file's attributes."""
    file.attrs.update(format=FORMAT, emotions=json.dumps(emotions), size=size, color=color, source=source)


def read_info(path: Path, digest: str = "") -> PackInfo:
    """Check the layout, shapes and types of a pack's file, and return its metadata. No image is read.

    Raises:
        DataError: the file is missing, truncated, or not a pack.
    """
    with open_hdf5(path) as file:
        size, color, emotions = attributes(path, file)
        codec = codec_of(path, file)
        counts, splits_with_votes = {}, set()
        for split in (*SPLITS, UNLABELLED):
            if split in file:
                counts[split] = check_split(path, file, split, size, color, len(emotions), codec)
                if "votes" in file[split]:
                    check_votes(path, file[split], split, (counts[split], len(emotions)))
                    splits_with_votes.add(split)
        if not counts:
            raise DataError(f"{path}: has no splits; re-pack the dataset")
        shards = check_shards(path, file, size, color, counts, codec) if codec else ()
    return PackInfo(path, emotions, size, color, counts, digest, frozenset(splits_with_votes), shards, codec or "raw")


def read_split(info: PackInfo, split: str) -> PackSplit:
    """Read a split into memory.

    Raises:
        DataError: the pack has no such split, or cannot be read.
    """
    return PackSplit(
        stored_images(info, split).read(),
        read_labels(info, split),
        read_paths(info, split),
        read_digests(info, split),
        read_votes(info, split),
    )


def stored_images(info: PackInfo, split: str) -> StoredImages:
    """Return where a split's images are stored. None is read.

    Raises:
        DataError: the pack has no such split, or cannot be read.
    """
    check_has_split(info, split)
    count, face = info.counts[split], info.face_bytes
    if not info.shards:
        with open_hdf5(info.file) as file:
            offset = file[split]["images"].id.get_offset()
        start = np.arange(count, dtype=np.int64) * face + (offset or 0)
        files = np.zeros(count, np.int64)
        return StoredImages((info.file,), files, start, np.full(count, face), info.size, info.color)
    before = list(info.counts)[: list(info.counts).index(split)]
    first = sum(info.counts[name] for name in before)  # the splits are stored one after another
    edges = np.cumsum([0, *(shard.images for shard in info.shards)])
    rows = np.arange(first, first + count)
    files = np.searchsorted(edges, rows, "right") - 1
    if info.codec == "raw":
        length = np.full(count, face)
        start = (rows - edges[files]) * face
    else:
        lengths = np.concatenate([_read(info, name, "lengths") for name in info.counts]).astype(np.int64)
        begins = np.cumsum(lengths) - lengths
        length, start = lengths[rows], begins[rows] - begins[edges[files]]
    names = tuple(shard.file for shard in info.shards)
    return StoredImages(names, files, start, length, info.size, info.color, info.codec, shuffled=True)


def read_encoded_digests(info: PackInfo, split: str) -> npt.NDArray[np.uint8]:
    """Read the digests of a split's JPEG bytes, uint8 (N, 32)."""
    return _read(info, split, "encoded_sha256")


def read_labels(info: PackInfo, split: str) -> npt.NDArray[np.uint8]:
    """Read a split's labels, uint8 (N,)."""
    return _read(info, split, "labels")


def read_votes(info: PackInfo, split: str) -> Votes | None:
    """Read a split's votes, float32 (N, emotions); None if it has none."""
    check_has_split(info, split)
    if split not in info.splits_with_votes:
        return None
    with open_hdf5(info.file) as file:
        votes: Votes = file[split]["votes"][()]
        return votes


def read_paths(info: PackInfo, split: str) -> list[str]:
    """Read the paths of a split's images within their dataset, (N,)."""
    check_has_split(info, split)
    with open_hdf5(info.file) as file:
        return [str(path) for path in file[split]["paths"].asstr("utf-8", "replace")[()]]


def read_digests(info: PackInfo, split: str) -> npt.NDArray[np.uint8]:
    """Read the digests of a split's images, uint8 (N, 32)."""
    return _read(info, split, "sha256")


def _read(info: PackInfo, split: str, name: str) -> npt.NDArray[np.uint8]:
    check_has_split(info, split)
    with open_hdf5(info.file) as file:
        values: npt.NDArray[np.uint8] = file[split][name][()]
        return values


def check_has_split(info: PackInfo, split: str) -> None:
    """Raise DataError if the pack has no such split."""
    if split not in info.counts:
        raise DataError(f"{info.file.parent}: the pack has no {split} split; it has {', '.join(info.counts)}")


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open the file for reading, with HDF5 errors as one-line DataErrors."""
    if not path.is_file():
        raise DataError(f"{path}: the pack's file is missing; re-pack the dataset")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a valid pack ({error}); re-pack the dataset") from error
