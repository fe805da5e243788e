"""Where the pictures that a table lists lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fercli.images import is_picture

ADDED = ("", ".jpg", ".png", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""What is tried behind a path, since some tables leave out the ending."""


class Places:
    """Where the paths of one table start: its own folder, the source's, or a folder in one of them.

    Args:
        root: The source's folder.
        table: The table.
        paths: The first paths that it lists, by which the folder is found.
    """

    def __init__(self, root: Path, table: Path, paths: Sequence[str]) -> None:
        starts = [table.parent] if table.parent == root else [table.parent, root]
        starts += [folder for start in (root,) for folder in _folders(start) if folder not in starts]
        plain = any(is_picture(Path(path)) for path in paths)
        tried = [(start, added) for start in starts for added in (ADDED[:1] if plain else ADDED)]
        found = [(sum((start / (path + added)).is_file() for path in paths), start, added) for start, added in tried]
        self.hits = max(count for count, _, _ in found)
        best = sorted((each for each in found if each[0]), key=lambda each: -each[0])
        self._starts = [
            (start, "" if start == root else f"{start.relative_to(root).as_posix()}/", added)
            for start, added in [(start, added) for _, start, added in best] or [(table.parent, "")]
        ]

    def find(self, path: str) -> tuple[Path, str]:
        """Return the file of a path, where it lies or should lie, and that place's path below the root."""
        found = [(Path(f"{start}/{path}{added}"), f"{within}{path}{added}") for start, within, added in self._starts]
        if len(found) > 1:
            return next((each for each in found if each[0].is_file()), found[0])
        return found[0]


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [folder / name for name in sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))]
