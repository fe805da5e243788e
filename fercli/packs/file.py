"""The pack's file, `faces.h5`: layout, writing and safe reading.

    /<split>/images  uint8 (N, H, W) or (N, H, W, 3), contiguous
    /<split>/labels  uint8 (N,), indices into the emotions
    /<split>/votes   float32 (N, emotions), rows adding up to 1: soft targets, where any image of the split has votes
    /<split>/paths   UTF-8 strings (N,), places within the dataset
    /<split>/sha256  uint8 (N, 32), digests of the dataset's images (`fercli.images.pixel_digest`)
    attributes: format, emotions (JSON), size, color, source (the dataset's digest)

The manifest holds the SHA-256 of the whole file, by which `open_pack` knows that nothing was changed since packing.

Contiguous, because compressed chunks read hundreds of times slower; never normalised, because a model that normalises
again is one of the classic mistakes (a pack stores what the camera gave, the checkpoint says how to scale it).
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
"""Faces are small: a pack that claims more is broken."""
_ROUNDING = 1e-4
"""How far a face's votes may be from adding up to 1."""
_TEXT = 4096
"""Length of the longest attribute, in characters."""


@dataclass(frozen=True)
class PackInfo:
    """What a pack's attributes say.

    Attributes:
        file: The HDF5 file.
        emotions: Names, in the order of the labels.
        size: Height and width, pixels.
        color: gray or rgb.
        counts: Images by split.
        digest: The pack's digest.
        voted: The splits that have votes.
    """

    file: Path
    emotions: tuple[str, ...]
    size: int
    color: Color
    counts: dict[str, int]
    digest: str
    voted: frozenset[str] = frozenset()

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.color == "gray" else 3

    def image_bytes(self, split: str) -> int:
        """Bytes that a split's images take in memory."""
        return self.counts[split] * self.size * self.size * self.channels


@dataclass(frozen=True)
class PackSplit:
    """One split in memory.

    Attributes:
        images: uint8 (N, H, W) or (N, H, W, 3).
        labels: uint8 (N,).
        paths: N places within the dataset.
        sha256: uint8 (N, 32).
        votes: float32 (N, emotions), rows adding up to 1, where the split has them.
        splits: The split of each image, N names, where several splits were read together.
    """

    images: Pixels
    labels: npt.NDArray[np.uint8]
    paths: list[str]
    sha256: npt.NDArray[np.uint8]
    votes: Votes | None = None
    splits: list[str] | None = None


def create_split(file: h5py.File, split: str, count: int, size: int, color: Color) -> h5py.Dataset:
    """Make a split's group and return its empty `images`, to be filled in place."""
    shape = (count, size, size) if color == "gray" else (count, size, size, 3)
    images: h5py.Dataset = file.create_group(split).create_dataset("images", shape, np.uint8)
    return images


def finish_split(
    file: h5py.File, split: str, labels: list[int], paths: list[str], sha256: list[str], votes: Votes | None = None
) -> None:
    """Write what stands beside a split's images."""
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
    """Check the layout, shapes and types of a pack's file, and return what it says of itself. No image is read.

    Raises:
        DataError: the file is missing, cut off, or not laid out as a pack.
    """
    with _opened(path) as file:
        size, color, emotions = _attributes(path, file)
        counts, voted = {}, set()
        for split in (*SPLITS, UNLABELLED):
            if split in file:
                counts[split] = _check_split(path, file, split, size, color, len(emotions))
                if "votes" in file[split]:
                    _check_votes(path, file[split], split, (counts[split], len(emotions)))
                    voted.add(split)
        if not counts:
            raise DataError(f"{path}: no split in it; re-pack the dataset")
    return PackInfo(path, emotions, size, color, counts, digest, frozenset(voted))


def read_split(info: PackInfo, split: str) -> PackSplit:
    """Read a split into memory.

    Raises:
        DataError: the pack has no such split, or cannot be read.
    """
    _has(info, split)
    with _opened(info.file) as file:
        group = file[split]
        return PackSplit(
            group["images"][()],
            group["labels"][()],
            [str(path) for path in group["paths"].asstr("utf-8", "replace")[()]],
            group["sha256"][()],
            group["votes"][()] if split in info.voted else None,
        )


def read_labels(info: PackInfo, split: str) -> npt.NDArray[np.uint8]:
    """Read a split's labels, uint8 (N,)."""
    return _read(info, split, "labels")


def read_votes(info: PackInfo, split: str) -> Votes | None:
    """Read a split's votes, float32 (N, emotions); None where it has none."""
    _has(info, split)
    if split not in info.voted:
        return None
    with _opened(info.file) as file:
        votes: Votes = file[split]["votes"][()]
        return votes


def read_paths(info: PackInfo, split: str) -> list[str]:
    """Read the places of a split's images within their dataset, (N,)."""
    _has(info, split)
    with _opened(info.file) as file:
        return [str(path) for path in file[split]["paths"].asstr("utf-8", "replace")[()]]


def read_digests(info: PackInfo, split: str) -> npt.NDArray[np.uint8]:
    """Read the digests of a split's images, uint8 (N, 32)."""
    return _read(info, split, "sha256")


def _read(info: PackInfo, split: str, name: str) -> npt.NDArray[np.uint8]:
    _has(info, split)
    with _opened(info.file) as file:
        values: npt.NDArray[np.uint8] = file[split][name][()]
        return values


def _has(info: PackInfo, split: str) -> None:
    if split not in info.counts:
        raise DataError(f"{info.file.parent}: the pack has no {split} split; it has {', '.join(info.counts)}")


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open the file for reading, any failure of HDF5 told in one line."""
    if not path.is_file():
        raise DataError(f"{path}: the pack's file is missing; re-pack the dataset")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a whole pack ({error}); re-pack the dataset") from error


def _attributes(path: Path, file: h5py.File) -> tuple[int, Color, tuple[str, ...]]:
    """Return size, colour and emotions, each read by its name: a walk over a damaged table need not end."""
    names = ("format", "emotions", "size", "color")
    if missing := [name for name in names if not h5py.h5a.exists(file.id, name.encode())]:
        raise DataError(f"{path}: not a pack (it has no {', '.join(missing)}); re-pack the dataset")
    if (form := _number(path, file, "format")) > FORMAT:
        raise DataError(f"{path}: a pack of a later format, {form}; update fercli")
    size, color = _number(path, file, "size"), _text(path, file, "color")
    emotions = json.loads(_text(path, file, "emotions"))
    if not (isinstance(emotions, list) and emotions and all(isinstance(e, str) for e in emotions)):
        raise DataError(f"{path}: its emotions are not a list of names; re-pack the dataset")
    if unknown := [e for e in emotions if e not in (*EMOTIONS, CONTEMPT)]:
        raise DataError(f"{path}: '{unknown[0][:40]}' among its emotions is none; re-pack the dataset")
    if len(set(emotions)) < len(emotions):
        raise DataError(f"{path}: its emotions, {', '.join(emotions)}, repeat; re-pack the dataset")
    if color not in ("gray", "rgb") or not 1 <= size <= MAX_SIZE:
        raise DataError(f"{path}: a pack of size {size} and color {color} cannot be; re-pack the dataset")
    return size, "gray" if color == "gray" else "rgb", tuple(emotions)


def _number(path: Path, file: h5py.File, name: str) -> int:
    """Return an attribute that is one whole number."""
    attribute = h5py.h5a.open(file.id, name.encode())
    if attribute.shape != () or attribute.dtype.kind not in "iu":
        raise DataError(f"{path}: its {name} is not a whole number; re-pack the dataset")
    return int(file.attrs[name])


def _text(path: Path, file: h5py.File, name: str) -> str:
    """Return an attribute that is one short text."""
    attribute = h5py.h5a.open(file.id, name.encode())
    is_text = h5py.check_string_dtype(attribute.dtype) is not None and attribute.get_storage_size() <= _TEXT
    value = file.attrs[name] if attribute.shape == () and is_text else None
    if not isinstance(value, str) or len(value) > _TEXT:
        raise DataError(f"{path}: its {name} is not a short text; re-pack the dataset")
    return value


def _own(path: Path, group: h5py.Group, name: str) -> Any:
    """Return a member that the file itself holds, whole and contiguous.

    A link or external storage could show any file of the reader's; a shape without data could ask for any memory.
    """
    link, member = group.get(name, getlink=True), group[name]
    if not isinstance(link, h5py.HardLink):
        raise DataError(f"{path}: {name} is a link, which no pack has; re-pack the dataset")
    if isinstance(member, h5py.Dataset):
        stored = member.id.get_storage_size()
        if member.chunks or member.external or member.is_virtual or stored < member.size * member.dtype.itemsize:
            raise DataError(f"{path}: {name} is not stored whole and contiguous; re-pack the dataset")
        if stored and (member.id.get_offset() or 0) + stored > path.stat().st_size:
            raise DataError(f"{path}: {name} reaches beyond the end of the file; re-pack the dataset")
    return member


def _check_split(path: Path, file: h5py.File, split: str, size: int, color: Color, classes: int) -> int:
    """Check one split's shapes, types and labels before anything is read; return its number of images."""
    group = _own(path, file, split)
    found = _own(path, group, "images")
    wanted = (found.shape[0], size, size) if color == "gray" else (found.shape[0], size, size, 3)
    if found.shape != wanted or found.dtype != np.uint8:
        raise DataError(f"{path}: {split}/images is {found.dtype} {found.shape}, not uint8 {wanted}")
    count = int(found.shape[0])
    for name, shape, kind in (
        ("labels", (count,), "uint8"),
        ("paths", (count,), "str"),
        ("sha256", (count, 32), "uint8"),
    ):
        beside = _own(path, group, name)
        its_kind = "str" if h5py.check_string_dtype(beside.dtype) else str(beside.dtype)
        if beside.shape != shape or its_kind != kind:
            raise DataError(f"{path}: {split}/{name} is {its_kind} {beside.shape}, not {kind} {shape}")
    if count and int(group["labels"][()].max()) >= classes:
        raise DataError(f"{path}: {split}/labels has a label beyond the {classes} emotions; re-pack the dataset")
    return count


def _check_votes(path: Path, group: h5py.Group, split: str, shape: tuple[int, int]) -> None:
    """Check a split's votes: shares of each face, none negative, that add up to 1."""
    member = _own(path, group, "votes")
    if getattr(member, "dtype", None) != np.float32 or member.shape != shape:
        raise DataError(f"{path}: {split}/votes is not float32 {shape}; re-pack the dataset")
    votes = member[()]
    # Each face by itself, so that nothing is added up that is not finite: no number is at least 0 and at most 1.
    if not ((votes >= 0) & (votes <= 1)).all() or (abs(votes.sum(1, dtype=np.float64) - 1) > _ROUNDING).any():
        raise DataError(f"{path}: {split}/votes are not shares that add up to 1; re-pack the dataset")
