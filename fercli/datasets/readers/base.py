"""What a reader is, and what it yields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fercli.emotions import canonical
from fercli.images import Pixels, is_picture


@dataclass(slots=True)
class Item:
    """One image of a source: either its pixels, or the file that holds them.

    Attributes:
        split: train, validation, test; empty where the source has no splits and the import stage is to cut them.
        emotion: Canonical name.
        name: What to call the image, without an ending.
        source: What the source calls it: a path within the source, or its table's name.
        row: Row in the source's table, from 0.
        pixels: uint8 (H, W) or (H, W, 3), where the source is a table.
        file: The image's file, where the source is a folder.
        problem: Why the item cannot be used (then it is skipped and counted), or empty.
    """

    split: str
    emotion: str
    name: str
    source: str
    row: int | None = None
    pixels: Pixels | None = None
    file: Path | None = None
    problem: str = ""


class Reader(Protocol):
    """One published layout.

    Attributes:
        name: What `--format` calls it.
        title: The data set's name for people.
        wants: What the source must hold, in one phrase.
    """

    name: str
    title: str
    wants: str

    def recognises(self, source: Path) -> bool:
        """Tell, by a quick look, whether `source` has this layout."""
        ...

    def read(self, source: Path) -> Iterator[Item]:
        """Yield the items in the source's own order.

        Raises:
            DataError: the source does not have this layout.
        """
        ...


def emotion_folders(folder: Path) -> dict[str, Path]:
    """Return the sub-folders whose names are emotions, by name, in order of the names."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith(".") and canonical(path.name) and path.is_dir():
            found[path.name] = path
    return found


def pictures_in(folder: Path) -> Iterator[Path]:
    """Yield the picture files under `folder`, nested folders included, in a fixed order."""
    from fercli.digests import walk_files

    return (path for path in walk_files(folder) if is_picture(path))
