"""JAFFE: 213 pictures of ten persons, all told by their names: `KA.AN1.39.tiff` is person KA, angry.

Copies in other formats are called `KA.AN1.39.png`, `KA.AN1.39.tiff.jpg`, `KA_AN1_39.png` or `KA.AN1.39` alone. Where
the pictures lie in folders by split, those folders are somebody's splits, and are kept: that is another layout.

The pictures are 256 x 256, grey, the face in the middle. Ten persons are few: group folds by person (`--folds 10`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item, pictures_in
from fercli.datasets.readers.folders import nested, split_folders
from fercli.errors import DataError
from fercli.images import has_image_suffix, stem_of

CODES: dict[str, str] = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
NAME = re.compile(r"([A-Z]{2})([._-])([A-Z]{2})(\d+)\2(\d+)", re.IGNORECASE | re.ASCII)


class Jaffe:
    """The folder of the pictures."""

    name = "jaffe"
    title = "JAFFE"
    wants = "a folder with files called KA.AN1.39.tiff"
    published: ClassVar[dict[str, int]] = {"": 213}

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether most of the first pictures carry the names."""
        if not source.is_dir() or any(split_folders(folder, wanted) for folder in nested(source, wanted)):
            return False
        first = [_parts(path) is not None for path in islice(pictures_in(source), 50)]
        return any(first) and 2 * sum(first) >= len(first)

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the pictures in order of their names; one whose name tells no emotion is an item with a problem."""
        files = list(pictures_in(source)) if source.is_dir() else []
        if not any(_parts(file) for file in files):
            raise DataError(f"{source}: no file is called as JAFFE's are, KA.AN1.39.tiff; name their folder")
        for file in files:
            item = Item("", "", _stem(file), file.relative_to(source).as_posix(), file=file)
            if parts := _parts(file):
                item.subject, item.emotion = parts
            else:
                item.problem = "name tells no emotion"
            yield item


def _stem(file: Path) -> str:
    """Return a file's name without its ending, or without both where a conversion has added one."""
    stem = Path(stem_of(file))
    return stem.stem if has_image_suffix(stem) else stem.name


def _parts(file: Path) -> tuple[str, str] | None:
    """Return the person and the emotion that a file's name tells, or None."""
    match = NAME.fullmatch(_stem(file))
    emotion = CODES.get(match[3].upper()) if match else None
    return (match[1].upper(), emotion) if match and emotion else None
