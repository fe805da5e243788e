"""CK+ as 48-px faces in folders by emotion, `CK+48/anger/S010_004_00000017.png`: each sequence's last three frames.

981 faces from 327 sequences in seven folders, with contempt and without neutral. Names start with the person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item, emotion_folders, pictures_in
from fercli.datasets.readers.ckplus import PEAK, SEQUENCES
from fercli.datasets.readers.folders import items_of
from fercli.errors import DataError

NAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})", re.IGNORECASE | re.ASCII)


class CkPlusFolders:
    """Emotion folders with CK+'s file names."""

    name = "ckplus-folders"
    title = "CK+ as 48-px faces by emotion"
    expects = "CK+48/ or a folder with it: anger/S010_004_00000017.png, contempt/, disgust/, …"
    published: ClassVar[dict[str, int]] = {"": SEQUENCES * PEAK}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the first files of the emotion folders have CK+'s names."""
        return any(
            NAME.fullmatch(path.stem)
            for folder in emotion_folders(_root(source, options), options).values()
            for path in islice(pictures_in(folder), 50)
        )

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the faces with person and frame; a file name without a person is an item with a problem."""
        root = _root(source, options)
        if not emotion_folders(root, options):
            raise DataError(f"{source}: no folder is named after an emotion; CK+48 has anger/, contempt/, disgust/, …")
        for item in items_of(root, "", root, options):
            if match := NAME.fullmatch(item.name):
                item.subject, item.frame = match[1].upper(), str(int(match[3]))
            elif not item.left_out:
                item.problem = item.problem or "no person in the file name"
            yield item


def _root(source: Path, options: ImportOptions) -> Path:
    """Return the folder with the emotion folders: the source, or CK+48 in it."""
    inner = source / "CK+48"
    return inner if inner.is_dir() and not emotion_folders(source, options) else source
