"""Files in a source that are not read: every file is either an item of its reader or reported here with a reason."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path

from fercli.artifacts import is_artifact
from fercli.artifacts.digests import walk_files
from fercli.datasets.readers.base import path_within
from fercli.images import has_suffix, is_image_file, suffix_of
from fercli.videos import is_video

NOT_USED = "not used by this layout"
TABLE = "table not read"
VIDEO = "video not read"
UNSUPPORTED = "unsupported file type"
NO_SUFFIX = "no file suffix and not an image"

TABLES = frozenset({".csv", ".tsv"})
_IMAGES_ONLY: tuple[str, ...] = ()
OWN_FILES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("folders", "emotions", "unlabelled", "fer2013-folders", "ckplus-folders", "jaffe"), _IMAGES_ONLY),
    **dict.fromkeys(("sfew", "sfew-aligned"), _IMAGES_ONLY),
    "raf-db-folders": ("train_labels.csv", "test_labels.csv"),
    **dict.fromkeys(("raf-db", "raf-db-original", "ckplus"), ("*.txt",)),
    "affectnet-npy": ("*.npy",),
    **dict.fromkeys(("affectnet-csv", "affectnet-automatic"), ("training.csv", "validation.csv", "automatic*.csv")),
    "expw": ("*.lst",),
    "fer2013-csv": ("fer2013.csv", "icml_face_data.csv"),
    "ferplus": ("fer2013.csv", "icml_face_data.csv", "fer2013new.csv"),
}
"""Patterns of files that belong to a layout besides images, by reader; readers not listed here own all files."""


class Seen:
    """Files and folders covered by items, as 64-bit hashes: a million take about 70 MB."""

    def __init__(self) -> None:
        self._keys: set[int] = set()

    def add(self, name: str) -> None:
        """Add a path within the source."""
        self._keys.add(_key(name))

    def covers(self, name: str) -> bool:
        """Return whether a path, or a folder that contains it, was added."""
        parts = name.split("/")
        return any(_key("/".join(parts[:end])) in self._keys for end in range(len(parts), 0, -1))


def unread(source: Path, seen: Seen, own: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield (reason, path within the source) for each visible file of a folder that no item covers.

    Args:
        source: The folder. If it is an artifact, files written by fercli are not reported.
        seen: The files covered by items.
        own: Lower-case patterns of the files, other than images and videos, that belong to the layout.
    """
    if not source.is_dir():
        return
    ours = is_artifact(source)
    for file in walk_files(source):
        name = path_within(source, file)
        if seen.covers(name) or (ours and file.parent == source):
            continue
        reason = reason_of(file)
        if reason in (NOT_USED, VIDEO) or not any(fnmatchcase(file.name.lower(), pattern) for pattern in own):
            yield reason, name


def reason_of(file: Path) -> str:
    """Return the reason why a file is not read."""
    if is_image_file(file):
        return NOT_USED
    if is_video(file):
        return VIDEO
    if suffix_of(file) in TABLES:
        return TABLE
    return UNSUPPORTED if has_suffix(file) else NO_SUFFIX


def _key(name: str) -> int:
    return int.from_bytes(blake2b(os.fsencode(name), digest_size=8).digest(), "little")
