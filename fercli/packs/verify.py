"""Whether a pack still holds what was packed: the file's digest, each image's own digest, each label.

The manifest's digest is of the whole file, so it covers pixels, labels, votes and paths alike. Where it does not fit,
or was made to fit, the SHA-256 beside each image says which images were changed, and each image's path, which names
its emotion, which labels were. Nothing is held but a chunk of images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np
import numpy.typing as npt

from fercli.artifacts import Artifact
from fercli.artifacts.digests import digest_file
from fercli.errors import DataError
from fercli.images import Pixels, pixel_digest

if TYPE_CHECKING:
    from fercli.packs.file import PackInfo

CHECKED_BYTES = 256 * 2**20
"""A pack of at most this size is checked whenever it is opened: SHA-256 takes well under a second for it."""
CHUNK = 1024
"""Images checked at once."""


@dataclass(frozen=True)
class SplitCheck:
    """What was found in one split.

    Attributes:
        changed: Indices of the images whose pixels are not those of their SHA-256.
        relabelled: Indices of the images whose label is not the emotion that their path names.
        unknown: How many images have a SHA-256 that says nothing of them, being of the image before it was resized or
            turned grey.
    """

    changed: npt.NDArray[np.int64]
    relabelled: npt.NDArray[np.int64]
    unknown: int


def is_unchanged(pack: Artifact, info: PackInfo) -> bool:
    """Tell whether a pack's file is the one whose digest its manifest holds, by reading all of it."""
    return digest_file(info.file) == pack.manifest.digest


def packed_as_they_were(pack: Artifact) -> bool:
    """Tell by a pack's options whether its images have the size and the colours of the dataset's.

    A grey image of a pack in RGB was copied into three equal channels, which `verify_split` undoes; one that was
    resized or turned grey has another digest than its SHA-256.
    """
    options = pack.manifest.options
    return options.get("size") is None and options.get("color") != "gray"


def verify_split(info: PackInfo, split: str, *, as_they_were: bool = True) -> SplitCheck:
    """Check every image and every label of a split.

    Args:
        info: The pack, its layout checked already (`fercli.packs.file.open_pack`).
        split: One of its splits.
        as_they_were: Whether every image is packed pixel for pixel (`packed_as_they_were`); otherwise one that does
            not fit its SHA-256 may have been resized, and counts as unknown.

    Raises:
        DataError: the pack has no such split, or cannot be read.
    """
    if split not in info.counts:
        raise DataError(f"{info.file.parent}: the pack has no {split} split; it has {', '.join(info.counts)}")
    differing: list[int] = []
    relabelled: list[int] = []
    try:
        for start, images, digests, labels, paths in _chunks(info, split):
            for number, (pixels, digest) in enumerate(zip(images, digests, strict=True), start):
                if not _fits(pixels, digest.tobytes().hex()):
                    differing.append(number)
            for number, (label, path) in enumerate(zip(labels, paths, strict=True), start):
                named = _named(path, info.emotions)
                if named is not None and named != label:
                    relabelled.append(number)
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{info.file}: not a whole pack ({error}); re-pack the dataset") from error
    return SplitCheck(
        np.array(differing if as_they_were else [], np.int64),
        np.array(relabelled, np.int64),
        0 if as_they_were else len(differing),
    )


def _chunks(
    info: PackInfo, split: str
) -> Iterator[tuple[int, Pixels, npt.NDArray[np.uint8], npt.NDArray[np.uint8], list[str]]]:
    with h5py.File(info.file, "r") as file:
        group = file[split]
        paths = group["paths"].asstr("utf-8", "replace")
        for start in range(0, info.counts[split], CHUNK):
            part = slice(start, start + CHUNK)
            yield start, group["images"][part], group["sha256"][part], group["labels"][part], list(paths[part])


def _fits(pixels: Pixels, digest: str) -> bool:
    """Tell whether pixels are those of a digest, as they are or, three equal channels, as the grey image they were."""
    if pixel_digest(pixels) == digest:
        return True
    return pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all()) and pixel_digest(pixels[..., 0]) == digest


def _named(path: str, emotions: tuple[str, ...]) -> int | None:
    """Return the label that a place `<split>/<emotion>/<name>` names; None where it names no emotion of the pack."""
    parts = path.split("/")
    return emotions.index(parts[1]) if len(parts) > 2 and parts[1] in emotions else None
