"""The pack's file, `faces.h5`: layout, writing and safe reading.

    /<split>/images  uint8 (N, H, W) or (N, H, W, 3), contiguous
    /<split>/labels  uint8 (N,), indices into the emotions
    /<split>/votes   float32 (N, emotions), soft targets, rows summing to 1; only if any image of the split has votes
    /<split>/paths   UTF-8 strings (N,), paths within the dataset
    /<split>/sha256  uint8 (N, 32), digests of the dataset's images (`fercli.images.pixel_digest`)
    attributes: format, emotions (JSON), size, color, source (the dataset's digest); see also `fercli.packs.affect`

The manifest holds the SHA-256 of the whole file, from which `open_pack` detects modifications.

Images are contiguous, because compressed chunks read hundreds of times slower, and never normalised, because
normalising twice is a classic mistake: the pack stores raw pixels, and the checkpoint defines the preprocessing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fercli.datasets.index import SPLITS, UNLABELLED
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError
from fercli.images import Color, Pixels

Votes = npt.NDArray[np.float32]

FILE = "faces.h5"
FORMAT = 1
MAX_SIZE = 4096
"""Maximum side of the images; a pack that claims more is corrupt."""
_TOLERANCE = 1e-4
"""Maximum deviation of the sum of an image's votes from 1."""
_MAX_TEXT = 4096  # characters of a text attribute


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
    """

    file: Path
    emotions: tuple[str, ...]
    size: int
    color: Color
    counts: dict[str, int]
    digest: str
    splits_with_votes: frozenset[str] = frozenset()

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.color == "gray" else 3

    def image_bytes(self, split: str) -> int:
        """Return the size of a split's images in memory, in bytes."""
        return self.counts[split] * self.size * self.size * self.channels


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
        size, color, emotions = _attributes(path, file)
        counts, splits_with_votes = {}, set()
        for split in (*SPLITS, UNLABELLED):
            if split in file:
                counts[split] = _check_split(path, file, split, size, color, len(emotions))
                if "votes" in file[split]:
                    _check_votes(path, file[split], split, (counts[split], len(emotions)))
                    splits_with_votes.add(split)
        if not counts:
            raise DataError(f"{path}: has no splits; re-pack the dataset")
    return PackInfo(path, emotions, size, color, counts, digest, frozenset(splits_with_votes))


def read_split(info: PackInfo, split: str) -> PackSplit:
    """Read a split into memory.

    Raises:
        DataError: the pack has no such split, or cannot be read.
    """
    check_has_split(info, split)
    with open_hdf5(info.file) as file:
        group = file[split]
        return PackSplit(
            group["images"][()],
            group["labels"][()],
            [str(path) for path in group["paths"].asstr("utf-8", "replace")[()]],
            group["sha256"][()],
            group["votes"][()] if split in info.splits_with_votes else None,
        )


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


def _attributes(path: Path, file: h5py.File) -> tuple[int, Color, tuple[str, ...]]:
    """Return size, colour and emotions, each read by name: iterating over a corrupt table may not terminate."""
    names = ("format", "emotions", "size", "color")
    if missing := [name for name in names if not h5py.h5a.exists(file.id, name.encode())]:
        raise DataError(f"{path}: not a pack (missing {', '.join(missing)}); re-pack the dataset")
    if (version := _int_attribute(path, file, "format")) > FORMAT:
        raise DataError(f"{path}: pack format {version} is newer than this version of fercli supports; update fercli")
    size, color = _int_attribute(path, file, "size"), _str_attribute(path, file, "color")
    emotions = json.loads(_str_attribute(path, file, "emotions"))
    if not (isinstance(emotions, list) and emotions and all(isinstance(e, str) for e in emotions)):
        raise DataError(f"{path}: its emotions are not a list of names; re-pack the dataset")
    if unknown := [e for e in emotions if e not in (*EMOTIONS, CONTEMPT)]:
        raise DataError(f"{path}: unknown emotion '{unknown[0][:40]}'; re-pack the dataset")
    if len(set(emotions)) < len(emotions):
        raise DataError(f"{path}: duplicate emotions ({', '.join(emotions)}); re-pack the dataset")
    if color not in ("gray", "rgb") or not 1 <= size <= MAX_SIZE:
        raise DataError(f"{path}: invalid size {size} or color {color}; re-pack the dataset")
    return size, "gray" if color == "gray" else "rgb", tuple(emotions)


def _int_attribute(path: Path, file: h5py.File, name: str) -> int:
    """Return a scalar integer attribute."""
    attribute = h5py.h5a.open(file.id, name.encode())
    if attribute.shape != () or attribute.dtype.kind not in "iu":
        raise DataError(f"{path}: its {name} is not an integer; re-pack the dataset")
    return int(file.attrs[name])


def _str_attribute(path: Path, file: h5py.File, name: str) -> str:
    """Return a short string attribute."""
    attribute = h5py.h5a.open(file.id, name.encode())
    is_text = h5py.check_string_dtype(attribute.dtype) is not None and attribute.get_storage_size() <= _MAX_TEXT
    value = file.attrs[name] if attribute.shape == () and is_text else None
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise DataError(f"{path}: its {name} is not a short string; re-pack the dataset")
    return value


def checked_member(path: Path, group: h5py.Group, name: str) -> Any:
    """Return a group's member after checking that the file itself contains it, completely and contiguously.

    A link or external storage could expose any file of the reader's; a shape without data could claim any memory.
    """
    link, member = group.get(name, getlink=True), group[name]
    if not isinstance(link, h5py.HardLink):
        raise DataError(f"{path}: {name} is a link, which packs never contain; re-pack the dataset")
    if isinstance(member, h5py.Dataset):
        stored = member.id.get_storage_size()
        if member.chunks or member.external or member.is_virtual or stored < member.size * member.dtype.itemsize:
            raise DataError(f"{path}: {name} is not stored completely and contiguously; re-pack the dataset")
        if stored and (member.id.get_offset() or 0) + stored > path.stat().st_size:
            raise DataError(f"{path}: {name} extends past the end of the file; re-pack the dataset")
    return member


def _check_split(path: Path, file: h5py.File, split: str, size: int, color: Color, classes: int) -> int:
    """Check a split's shapes, types and labels before reading its images; return the number of images."""
    group = checked_member(path, file, split)
    images = checked_member(path, group, "images")
    expected = (images.shape[0], size, size) if color == "gray" else (images.shape[0], size, size, 3)
    if images.shape != expected or images.dtype != np.uint8:
        raise DataError(f"{path}: {split}/images is {images.dtype} {images.shape}, not uint8 {expected}")
    count = int(images.shape[0])
    for name, shape, kind in (
        ("labels", (count,), "uint8"),
        ("paths", (count,), "str"),
        ("sha256", (count, 32), "uint8"),
    ):
        member = checked_member(path, group, name)
        member_kind = "str" if h5py.check_string_dtype(member.dtype) else str(member.dtype)
        if member.shape != shape or member_kind != kind:
            raise DataError(f"{path}: {split}/{name} is {member_kind} {member.shape}, not {kind} {shape}")
    if count and int(group["labels"][()].max()) >= classes:
        raise DataError(f"{path}: {split}/labels has a label outside the {classes} emotions; re-pack the dataset")
    return count


def _check_votes(path: Path, group: h5py.Group, split: str, shape: tuple[int, int]) -> None:
    """Check a split's votes: non-negative, and summing to 1 for each image."""
    member = checked_member(path, group, "votes")
    if getattr(member, "dtype", None) != np.float32 or member.shape != shape:
        raise DataError(f"{path}: {split}/votes is not float32 {shape}; re-pack the dataset")
    votes = member[()]
    # The range first: NaN and infinity fail it, so that only finite values are summed.
    if not ((votes >= 0) & (votes <= 1)).all() or (abs(votes.sum(1, dtype=np.float64) - 1) > _TOLERANCE).any():
        raise DataError(f"{path}: {split}/votes are not distributions that sum to 1; re-pack the dataset")
