"""Finding photographs and videos in a folder: one rule for all stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fercli.artifacts.digests import walk_files
from fercli.images import is_image_file
from fercli.videos import is_video


def media_in(folder: Path, skipped: Callable[[Path], object] = lambda _: None) -> Iterator[Path]:
    """Yield the images and videos under a folder in a fixed order, without hidden files and folders.

    Args:
        folder: Walked on each call: the names of a million images are never held in memory.
        skipped: Called with every other file.
    """
    for path in walk_files(folder):
        if is_video(path) or is_image_file(path):
            yield path
        else:
            skipped(path)
