"""JAFFE: 213 pictures of ten persons, all told by their names: `KA.AN1.39.tiff` is person KA, angry.

The pictures are 256 x 256, grey, the face in the middle. Ten persons are few: group folds by person (`--folds 10`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, Item, Wanted, pictures_in
from fercli.errors import DataError

CODES: dict[str, str] = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})(\d+)\.(\d+)", re.IGNORECASE | re.ASCII)


class Jaffe:
    """The folder of the pictures."""

    name = "jaffe"
    title = "JAFFE"
    wants = "a folder with files called KA.AN1.39.tiff"
    published: ClassVar[dict[str, int]] = {"": 213}

    def recognises(self, source: Path, wanted: Wanted = ANY) -> bool:
        """Tell whether the first pictures carry the names."""
        return source.is_dir() and any(_parts(path) for path in islice(pictures_in(source), 50))

    def read(self, source: Path, wanted: Wanted = ANY) -> Iterator[Item]:
        """Yield the pictures in order of their names; one whose name tells no emotion is an item with a problem."""
        files = list(pictures_in(source)) if source.is_dir() else []
        if not any(_parts(file) for file in files):
            raise DataError(f"{source}: no file is called as JAFFE's are, KA.AN1.39.tiff; name their folder")
        for file in files:
            item = Item("", "", file.stem, file.relative_to(source).as_posix(), file=file)
            if parts := _parts(file):
                item.subject, item.emotion = parts
            else:
                item.problem = "name tells no emotion"
            yield item


def _parts(file: Path) -> tuple[str, str] | None:
    """Return the person and the emotion that a file's name tells, or None."""
    match = NAME.fullmatch(file.stem)
    emotion = CODES.get(match[2].upper()) if match else None
    return (match[1].upper(), emotion) if match and emotion else None
