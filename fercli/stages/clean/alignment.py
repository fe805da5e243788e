"""Writing the images whose faces are turned upright; their rows keep everything but the digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fercli.datasets.index import Row
from fercli.datasets.names import Names
from fercli.datasets.reading import read_checked
from fercli.faces.cropping import rotate_upright
from fercli.images import encode_png, pixel_digest
from fercli.parallel import in_threads
from fercli.progress import Progress


def turned_paths(rows: Sequence[Row], kept: Sequence[int], turns: Mapping[int, float]) -> dict[int, str]:
    """Return where the turned images go: in their place, as PNG."""
    if not turns:
        return {}
    names = Names()
    for i in kept:
        if i not in turns:
            names.unique(rows[i].path, "")
    return {i: names.unique(str(PurePosixPath(rows[i].path).with_suffix("")), ".png") for i in kept if i in turns}


def write_turned(
    source: Path,
    folder: Path,
    rows: Sequence[Row],
    kept: Sequence[int],
    turns: Mapping[int, float],
    workers: int | None,
    progress: Progress,
) -> list[Row]:
    """Write the turned images into `folder`, and return the rows of all that are kept.

    Args:
        source: The data set's folder.
        folder: Where the new one is built; its folders of emotions are there.
        rows: The data set's index.
        kept: Numbers of the images that stay.
        turns: Degrees, by the row's number.
        workers: Threads; None for one a core.
        progress: Moves with the images written.

    Raises:
        DataError: an image is missing, broken or changed.
    """
    paths = turned_paths(rows, kept, turns)
    moved = {rows[i].path: path for i, path in paths.items()}

    def write(i: int) -> str:
        pixels = rotate_upright(read_checked(source, rows[i]), turns[i])
        (folder / paths[i]).write_bytes(encode_png(pixels))
        return pixel_digest(pixels)

    digests = dict(zip(paths, progress.track(in_threads(write, paths, workers), "turning", len(paths)), strict=True))
    if not turns:
        return [rows[i] for i in kept]
    return [
        replace(
            rows[i],
            path=paths.get(i, rows[i].path),
            sha256=digests.get(i, rows[i].sha256),
            parent=moved.get(rows[i].parent, rows[i].parent),
        )
        for i in kept
    ]
