"""JAFFE: 213 images of ten persons, labelled by file name: `KA.AN1.39.tiff` is person KA, angry.

Copies in other formats are named `KA.AN1.39.png`, `KA.AN1.39.tiff.jpg`, `KA_AN1_39.png` or just `KA.AN1.39`. Images in
split folders are another layout, which keeps those splits.

The images are 256 x 256, grey, with the face centred. Ten persons are few: use folds grouped by person (`--folds 10`).
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
    """The folder of images."""

    name = "jaffe"
    title = "JAFFE"
    expects = "a folder with files named KA.AN1.39.tiff"
    published: ClassVar[dict[str, int]] = {"": 213}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether most of the first images have JAFFE's names."""
        if not source.is_dir() or any(split_folders(folder, options) for folder in nested(source, options)):
            return False
        first = [_parts(path) is not None for path in islice(pictures_in(source), 50)]
        return any(first) and 2 * sum(first) >= len(first)

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the images ordered by name; a file name without an emotion is an item with a problem."""
        files = list(pictures_in(source)) if source.is_dir() else []
        if not any(_parts(file) for file in files):
            raise DataError(f"{source}: no file is named like JAFFE's, KA.AN1.39.tiff; give their folder")
        for file in files:
            item = Item("", "", _stem(file), file.relative_to(source).as_posix(), file=file)
            if parts := _parts(file):
                item.subject, item.emotion = parts
            else:
                item.problem = "no emotion in the file name"
            yield item


def _stem(file: Path) -> str:
    """Return a file name without its suffix, or without both if a conversion has added one."""
    stem = Path(stem_of(file))
    return stem.stem if has_image_suffix(stem) else stem.name


def _parts(file: Path) -> tuple[str, str] | None:
    """Return the person and the emotion in a file name, or None."""
    match = NAME.fullmatch(_stem(file))
    emotion = CODES.get(match[3].upper()) if match else None
    return (match[1].upper(), emotion) if match and emotion else None
