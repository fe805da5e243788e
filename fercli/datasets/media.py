"""Which files of a folder are photographs and videos: one rule for all stages that look at such folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fercli.artifacts.digests import walk_files
from fercli.images import is_image_file
from fercli.videos import is_video


def media_in(folder: Path, passed_over: Callable[[Path], object] = lambda _: None) -> Iterator[Path]:
    """Yield the pictures and videos under a folder in a fixed order, hidden files and folders left out.

    Args:
        folder: It is walked anew by each call: the names of a million pictures are not held.
        passed_over: Called with each other file.
    """
    for path in walk_files(folder):
        if is_video(path) or is_image_file(path):
            yield path
        else:
            passed_over(path)
