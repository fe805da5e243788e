"""CK+ as 48-px faces in folders by emotion, `CK+48/anger/S010_004_00000017.png`: each sequence's last three frames.

981 faces of 327 sequences in seven folders, contempt among them and neutral not. The name's first part is the person.
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
    """Folders by emotion whose files carry CK+'s names."""

    name = "ckplus-folders"
    title = "CK+ as 48-px faces by emotion"
    wants = "CK+48/ or a folder with it: anger/S010_004_00000017.png, contempt/, disgust/, …"
    published: ClassVar[dict[str, int]] = {"": SEQUENCES * PEAK}

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether folders of emotions start with files that carry the names."""
        return any(
            NAME.fullmatch(path.stem)
            for folder in emotion_folders(_root(source, wanted), wanted).values()
            for path in islice(pictures_in(folder), 50)
        )

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the faces with person and frame; one whose name tells no person is an item with a problem."""
        root = _root(source, wanted)
        if not emotion_folders(root, wanted):
            raise DataError(f"{source}: no folder is named after an emotion; CK+48 has anger/, contempt/, disgust/, …")
        for item in items_of(root, "", root, wanted):
            if match := NAME.fullmatch(item.name):
                item.subject, item.frame = match[1].upper(), str(int(match[3]))
            elif not item.left_out:
                item.problem = item.problem or "name tells no person"
            yield item


def _root(source: Path, wanted: ImportOptions) -> Path:
    """Return the folder of the emotion folders: the source, or CK+48 in it."""
    inner = source / "CK+48"
    return inner if inner.is_dir() and not emotion_folders(source, wanted) else source
