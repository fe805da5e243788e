"""The number of images in a source, if it can be determined in advance."""

from __future__ import annotations

from pathlib import Path

from fercli.artifacts.digests import walk_files
from fercli.datasets.readers import GENERAL, Reader
from fercli.files import open_file
from fercli.images import is_image_file

_BLOCK = 1 << 20


def total_of(source: Path, reader: Reader) -> int | None:
    """Return the number of images that the reader will find; None if unknown.

    A table has one image per line, and plain folders one per file. Published datasets with several tables and folders
    may contain each image in two forms.
    """
    if source.is_file():
        return max(0, _lines(source) - 1)
    if reader.name in GENERAL or reader.name.endswith("-folders"):
        return sum(is_image_file(path) for path in walk_files(source))
    return None


def _lines(table: Path) -> int:
    """Return the number of lines of a table, with or without a final newline."""
    count, last = 0, b"\n"
    with open_file(table) as file:
        while block := file.read(_BLOCK):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")
