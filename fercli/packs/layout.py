"""Checks of the layout of a pack's file before anything in it is used: shapes, types, ranges, and no links.

A pack comes from anywhere. Attributes and members are read by name, since iterating over a corrupt table may not
terminate, and each member is checked before it is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError
from fercli.images import Color
from fercli.packs import shards
from fercli.packs.jpeg import max_bytes
from fercli.packs.shards import Shard
from fercli.packs.storage import MAX_SHARDS, Codec

FORMAT = 1
"""Format of a pack that is a single file; of one with shards: `shards.FORMAT`."""
MAX_SIZE = 4096
"""Maximum side of the images; a pack that claims more is corrupt."""
_TOLERANCE = 1e-4
"""Maximum deviation of the sum of an image's votes from 1."""
_MAX_TEXT = 4096
"""Maximum length of a text attribute, in characters."""


def attributes(path: Path, file: h5py.File) -> tuple[int, Color, tuple[str, ...]]:
    """Return size, colour and emotions, each read by name: iterating over a corrupt table may not terminate."""
    names = ("format", "emotions", "size", "color")
    if missing := [name for name in names if not h5py.h5a.exists(file.id, name.encode())]:
        raise DataError(f"{path}: not a pack (missing {', '.join(missing)}); re-pack the dataset")
    if (version := _int_attribute(path, file, "format")) > shards.FORMAT:
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


def codec_of(path: Path, file: h5py.File) -> Codec | None:
    """Return how the shards of a pack are coded; None for a pack that is a single file."""
    if _int_attribute(path, file, "format") < shards.FORMAT:
        return None
    if not h5py.h5a.exists(file.id, b"codec"):
        raise DataError(f"{path}: not a pack (missing codec); re-pack the dataset")
    codec = _str_attribute(path, file, "codec")
    if codec not in ("raw", "jpeg"):
        raise DataError(f"{path}: unknown codec '{codec[:40]}'; update fercli, or re-pack the dataset")
    return "jpeg" if codec == "jpeg" else "raw"


def check_shards(
    path: Path, file: h5py.File, size: int, color: Color, counts: dict[str, int], codec: Codec
) -> tuple[Shard, ...]:
    """Check that the table of the shards agrees with the images of the splits, and return them. No shard is opened."""
    table = checked_member(path, file, shards.FOLDER)
    for name, kind, columns in (("images", np.uint64, ()), ("bytes", np.uint64, ()), ("sha256", np.uint8, (32,))):
        member = checked_member(path, table, name)
        if member.dtype != kind or member.ndim != 1 + len(columns) or member.shape[1:] != columns:
            raise DataError(f"{path}: {shards.FOLDER}/{name} is {member.dtype} {member.shape}; re-pack the dataset")
    number = len(table["images"])
    if not 1 <= number <= MAX_SHARDS or {len(table["bytes"]), len(table["sha256"])} != {number}:
        raise DataError(f"{path}: its tables of shards differ in length, or are too long; re-pack the dataset")
    images, stored = ([int(value) for value in table[name][()]] for name in ("images", "bytes"))
    if min(images) < 1 or sum(images) != sum(counts.values()):
        raise DataError(f"{path}: its shards have {sum(images):,} images, its splits {sum(counts.values()):,}")
    face = size * size * (1 if color == "gray" else 3)
    if codec == "raw":
        expected = [count * face for count in images]
    else:
        lengths = np.concatenate([file[split]["lengths"][()] for split in counts]).astype(np.int64)
        if len(lengths) and not 4 <= int(lengths.min()) <= int(lengths.max()) <= max_bytes(size, color):
            raise DataError(f"{path}: an image has no bytes, or more than its size allows; re-pack the dataset")
        expected = np.add.reduceat(lengths, np.cumsum([0, *images[:-1]])).tolist()
    if stored != expected:
        raise DataError(f"{path}: the sizes of its shards differ from those of their images; re-pack the dataset")
    digests = [row.tobytes().hex() for row in table["sha256"][()]]
    files = [shards.file_of(path.parent, k) for k in range(number)]
    return tuple(Shard(*one) for one in zip(files, images, stored, digests, strict=True))


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


def check_split(
    path: Path, file: h5py.File, split: str, size: int, color: Color, classes: int, codec: Codec | None = None
) -> int:
    """Check a split's shapes, types and labels before reading its images; return the number of images.

    `codec` is that of a pack with shards, whose images are not in the file.
    """
    group = checked_member(path, file, split)
    first = checked_member(path, group, "labels" if codec else "images")
    count = int(first.shape[0])
    face = (size, size) if color == "gray" else (size, size, 3)
    for name, shape, kind in (
        *((("images", (count, *face), "uint8"),) if codec is None else ()),
        ("labels", (count,), "uint8"),
        ("paths", (count,), "str"),
        ("sha256", (count, 32), "uint8"),
        *((("lengths", (count,), "uint32"), ("encoded_sha256", (count, 32), "uint8")) if codec == "jpeg" else ()),
    ):
        member = checked_member(path, group, name)
        member_kind = "str" if h5py.check_string_dtype(member.dtype) else str(member.dtype)
        if member.shape != shape or member_kind != kind:
            raise DataError(f"{path}: {split}/{name} is {member_kind} {member.shape}, not {kind} {shape}")
    if count and int(group["labels"][()].max()) >= classes:
        raise DataError(f"{path}: {split}/labels has a label outside the {classes} emotions; re-pack the dataset")
    return count


def check_votes(path: Path, group: h5py.Group, split: str, shape: tuple[int, int]) -> None:
    """Check a split's votes: non-negative, and summing to 1 for each image."""
    member = checked_member(path, group, "votes")
    if getattr(member, "dtype", None) != np.float32 or member.shape != shape:
        raise DataError(f"{path}: {split}/votes is not float32 {shape}; re-pack the dataset")
    votes = member[()]
    # The range first: NaN and infinity fail it, so that only finite values are summed.
    if not ((votes >= 0) & (votes <= 1)).all() or (abs(votes.sum(1, dtype=np.float64) - 1) > _TOLERANCE).any():
        raise DataError(f"{path}: {split}/votes are not distributions that sum to 1; re-pack the dataset")
