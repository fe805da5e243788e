"""Verifying a pack: the file's digest, the digest of each image, and each label.

The manifest's digest is of the whole file and covers pixels, labels, votes and paths. If it does not match, or was
forged, the SHA-256 stored with each image identifies changed images, and its path, which contains the emotion, changed
labels. Only one chunk of images is in memory at a time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Artifact
from fercli.artifacts.digests import digest_file
from fercli.images import Pixels, pixel_digest
from fercli.packs.file import (
    PackInfo,
    check_has_split,
    read_digests,
    read_encoded_digests,
    read_labels,
    read_paths,
    stored_images,
)
from fercli.parallel import in_threads

CHUNK = 1024
"""Images checked at a time."""


@dataclass(frozen=True)
class SplitCheck:
    """The result of verifying one split.

    Attributes:
        changed: Indices of images whose pixels do not match their SHA-256.
        relabelled: Indices of images whose label is not the emotion in their path.
        unknown: Number of images that cannot be checked, because their SHA-256 is that of the image before it was
            resized or converted to grey.
    """

    changed: npt.NDArray[np.int64]
    relabelled: npt.NDArray[np.int64]
    unknown: int


def is_unchanged(pack: Artifact, info: PackInfo) -> bool:
    """Return whether the digest of a pack's file matches its manifest; reads the whole file, but not its shards."""
    return digest_file(info.file) == pack.manifest.digest


def changed_shards(info: PackInfo) -> list[str]:
    """Return the names of the shards whose digest is not that in the index; reads them all."""
    digests = in_threads(lambda shard: digest_file(shard.file), info.shards, None)
    return [
        shard.file.relative_to(info.file.parent).as_posix()
        for shard, found in zip(info.shards, digests, strict=True)
        if found != shard.digest
    ]


def is_lossless(pack: Artifact) -> bool:
    """Return whether, according to its options, a pack stores the dataset's pixels without resizing or greying.

    A grey image in an RGB pack was copied into three equal channels, which `verify_split` undoes; resized or greyed
    images no longer match their SHA-256.
    """
    options = pack.manifest.options
    return options.get("size") is None and options.get("color") != "gray"


def verify_split(info: PackInfo, split: str, *, lossless: bool = True) -> SplitCheck:
    """Check every image and every label of a split.

    Args:
        info: The pack, its layout already checked (`fercli.packs.opening.open_pack`).
        split: One of its splits.
        lossless: Whether every image is packed pixel for pixel (`is_lossless`); otherwise an image that does not
            match its SHA-256 may have been resized, and counts as unknown. JPEGs are checked by the digests of their
            bytes, whatever this says.

    Raises:
        DataError: the pack has no such split, or cannot be read.
    """
    check_has_split(info, split)
    coded = info.codec != "raw"
    mismatched: list[int] = []
    relabelled: list[int] = []
    labels, paths = read_labels(info, split), read_paths(info, split)
    for number, (label, path) in enumerate(zip(labels, paths, strict=True)):
        expected = _label_in_path(path, info.emotions)
        if expected is not None and expected != label:
            relabelled.append(number)
    digests = read_encoded_digests(info, split) if coded else read_digests(info, split)
    stored = stored_images(info, split)
    for start in range(0, info.counts[split], CHUNK):
        rows = np.arange(start, min(start + CHUNK, info.counts[split]))
        same = (
            [
                hashlib.sha256(data).digest() == digests[row].tobytes()
                for row, data in zip(rows, stored.encoded(rows), strict=True)
            ]
            if coded
            else [
                _matches(pixels, digests[row].tobytes().hex())
                for row, pixels in zip(rows, stored.read(rows), strict=True)
            ]
        )
        mismatched += rows[~np.array(same, bool)].tolist()
    known = lossless or coded
    return SplitCheck(
        np.array(mismatched if known else [], np.int64),
        np.array(relabelled, np.int64),
        0 if known else len(mismatched),
    )


def _matches(pixels: Pixels, digest: str) -> bool:
    """Return whether pixels match a digest, either directly or, with three equal channels, as a grey image."""
    if pixel_digest(pixels) == digest:
        return True
    return pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all()) and pixel_digest(pixels[..., 0]) == digest


def _label_in_path(path: str, emotions: tuple[str, ...]) -> int | None:
    """Return the label in a path `<split>/<emotion>/<name>`, or None if it is not an emotion of the pack."""
    parts = path.split("/")
    return emotions.index(parts[1]) if len(parts) > 2 and parts[1] in emotions else None
