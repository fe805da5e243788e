"""Writing images with faces rotated upright; their rows keep everything but the digest."""

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
    """Return the paths of the rotated images: as before, but as PNG."""
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
    """Write the rotated images to `folder`, and return the rows of all kept images.

    Args:
        source: The dataset's folder.
        folder: The new dataset's folder, with its emotion folders.
        rows: The dataset's index.
        kept: Rows of the kept images.
        turns: Rotation in degrees by row.
        workers: Number of threads; None for one per core.
        progress: Advances with each image.

    Raises:
        DataError: an image is missing, damaged or modified.
    """
    paths = turned_paths(rows, kept, turns)
    moved = {rows[i].path: path for i, path in paths.items()}

    def write(i: int) -> str:
        pixels = rotate_upright(read_checked(source, rows[i]), turns[i])
        (folder / paths[i]).write_bytes(encode_png(pixels))
        return pixel_digest(pixels)

    digests = dict(zip(paths, progress.track(in_threads(write, paths, workers), "aligning", len(paths)), strict=True))
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
