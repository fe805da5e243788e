"""What lies in a source and is not read: a file is either an item of its reader, or told of here with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path

from fercli.artifacts import is_artifact
from fercli.artifacts.digests import walk_files
from fercli.images import has_suffix, is_image_file, suffix_of
from fercli.videos import is_video

NOT_USED = "not used by this layout"
TABLE = "table not read"
VIDEO = "video not read"
ENDING = "of an ending that is not read"
NO_ENDING = "without an ending and no picture"

_HERE = Path()
TABLES = frozenset({".csv", ".tsv"})
_PICTURES_ALONE: tuple[str, ...] = ()
OWN_FILES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("folders", "emotions", "unlabelled", "fer2013-folders", "ckplus-folders", "jaffe"), _PICTURES_ALONE
    ),
    **dict.fromkeys(("sfew", "sfew-aligned"), _PICTURES_ALONE),
    "raf-db-folders": ("train_labels.csv", "test_labels.csv"),
    **dict.fromkeys(("raf-db", "raf-db-original", "ckplus"), ("*.txt",)),
    "affectnet-npy": ("*.npy",),
    **dict.fromkeys(("affectnet-csv", "affectnet-automatic"), ("training.csv", "validation.csv", "automatic*.csv")),
    "expw": ("*.lst",),
    "fer2013-csv": ("fer2013.csv", "icml_face_data.csv"),
    "ferplus": ("fer2013.csv", "icml_face_data.csv", "fer2013new.csv"),
}
"""What lies beside the pictures in a layout and belongs to it, by the reader's name; all files where it is not here."""


class Seen:
    """The files, and folders, that items stand for, by 64 bits of a hash: a million take some 70 MB."""

    def __init__(self) -> None:
        self._keys: set[int] = set()

    def add(self, name: str) -> None:
        """Note a path within the source."""
        self._keys.add(_key(name))

    def covers(self, name: str) -> bool:
        """Tell whether a path, or a folder that it lies in, was noted."""
        parts = name.split("/")
        return any(_key("/".join(parts[:end])) in self._keys for end in range(len(parts), 0, -1))


def unread(source: Path, seen: Seen, own: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield (reason, path within the source) for each file of a folder that no item stands for, hidden ones excepted.

    Args:
        source: The folder. What fercli itself has put beside an artifact's pictures is no file of the user's.
        seen: What items stand for.
        own: Patterns of names, in lower case, of the files besides pictures and videos that belong to the layout.
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


def path_within(source: Path, file: Path) -> str:
    """Return the path of a file below a folder; of thousands, five times as fast as `Path.relative_to`."""
    return file.as_posix()[len(source.as_posix().rstrip("/")) + 1 :] if source != _HERE else file.as_posix()


def reason_of(file: Path) -> str:
    """Return why a file is not read."""
    if is_image_file(file):
        return NOT_USED
    if is_video(file):
        return VIDEO
    if suffix_of(file) in TABLES:
        return TABLE
    return ENDING if has_suffix(file) else NO_ENDING


def _key(name: str) -> int:
    return int.from_bytes(blake2b(os.fsencode(name), digest_size=8).digest(), "little")
