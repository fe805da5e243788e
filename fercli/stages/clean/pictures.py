"""Reading every image of a data set once: is it the one that was indexed, is it constant, what does it look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fercli.datasets.duplicates import is_constant
from fercli.datasets.index import Row
from fercli.datasets.perceptual import COMPARE_SIDE, HASH_SIDE, shrink
from fercli.datasets.reading import read_checked
from fercli.images import Pixels
from fercli.parallel import in_threads
from fercli.progress import Progress

_CHUNK = 128


@dataclass(frozen=True)
class Looks:
    """What was seen in the images of a data set.

    Attributes:
        constant: Numbers of the rows of one constant value.
        small: (pictures, 32, 32) uint8, each distinct picture for hashing.
        compare: (pictures, 48, 48) uint8, each for correlation.
    """

    constant: list[int]
    small: Pixels
    compare: Pixels


def look(
    folder: Path, rows: Sequence[Row], pictures: Sequence[Sequence[int]], workers: int | None, progress: Progress
) -> Looks:
    """Read all images of the data set in `folder`, in threads.

    Args:
        folder: The data set's folder.
        rows: Its index.
        pictures: The numbers of the rows of each distinct picture; small versions are kept of the first of each.
        workers: Threads; None for one a core.
        progress: Moves with the images read.

    Raises:
        DataError: an image is missing, broken or changed.
    """
    small = np.empty((len(pictures), HASH_SIDE, HASH_SIDE), np.uint8)
    compare = np.empty((len(pictures), COMPARE_SIDE, COMPARE_SIDE), np.uint8)
    picture_of = {images[0]: number for number, images in enumerate(pictures)}

    def look_at(numbers: range) -> list[int]:
        constant = []
        for i in numbers:
            pixels = read_checked(folder, rows[i])
            if is_constant(pixels):
                constant.append(i)
            if (picture := picture_of.get(i)) is not None:
                small[picture], compare[picture] = shrink(pixels)
        return constant

    chunks = [range(low, min(low + _CHUNK, len(rows))) for low in range(0, len(rows), _CHUNK)]
    constant: list[int] = []
    progress.start("reading", len(rows))
    try:
        for numbers, found in zip(chunks, in_threads(look_at, chunks, workers), strict=True):
            constant += found
            progress.advance(len(numbers))
    finally:
        progress.stop()
    return Looks(constant, small, compare)
