"""Locating the images listed in a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fercli.datasets.readers.folders import SPLIT_NAMES
from fercli.images import has_image_suffix

ADDED = ("", ".jpg", ".png", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Suffixes tried for each path, since some tables omit them."""


class PathResolver:
    """Finds the images of one table in its own folder, the source's folder, or a sub-folder of the source.

    Args:
        root: The source's folder.
        table: The table's file.
        paths: The first paths listed in the table, used to find the folders.
        split: The split named by the table's file name, if any: a folder of that name belongs to the table too.

    Attributes:
        hits: The most of these paths found in any one folder.
        several: Two folders that contain the same path, which the table's own folder does not; else empty.
    """

    def __init__(self, root: Path, table: Path, paths: Sequence[str], split: str = "") -> None:
        starts = [table.parent] if table.parent == root else [table.parent, root]
        starts += [folder for folder in _folders(root) if folder not in starts]
        whole = any(has_image_suffix(Path(path)) for path in paths)
        tried = [(start, added) for start in starts for added in (ADDED[:1] if whole else ADDED)]
        there = [{path for path in paths if (start / (path + added)).is_file()} for start, added in tried]
        found = [(start, added, held) for (start, added), held in zip(tried, there, strict=True) if held]
        self.hits = max((len(held) for _, _, held in found), default=0)
        mine = {start for start in starts if split and SPLIT_NAMES.get(start.name.lower()) == split} | {table.parent}
        # The table's own folder takes precedence, then the folders with the most matches.
        found.sort(key=lambda each: (each[0] not in mine, -len(each[2])))
        self._starts = [
            (start, "" if start == root else f"{start.relative_to(root).as_posix()}/", added)
            for start, added in ([each[:2] for each in found] or [(table.parent, "")])
        ]
        others = [(start, held) for start, _, held in found if start not in mine]
        own = set().union(*(held for start, _, held in found if start in mine))
        pairs = ((a[0], b[0]) for k, a in enumerate(others) for b in others[k + 1 :] if (a[1] & b[1]) - own)
        self.several = next((pair for pair in pairs if pair[0] != pair[1]), ())

    def resolve(self, path: str) -> tuple[Path, str]:
        """Return the file for a path, existing or expected, and its path relative to the root."""
        found = [(Path(f"{start}/{path}{added}"), f"{within}{path}{added}") for start, within, added in self._starts]
        if len(found) > 1:
            return next((each for each in found if each[0].is_file()), found[0])
        return found[0]


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [folder / name for name in sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))]
