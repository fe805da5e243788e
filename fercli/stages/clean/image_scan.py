"""Reading every image of a data set once: is it the one that was indexed, is it constant, what does it look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.datasets.duplicates import is_constant
from fercli.datasets.index import Row
from fercli.datasets.perceptual import Hashes, perceptual_hashes, shrink
from fercli.datasets.reading import read_checked
from fercli.datasets.thumbnails import ThumbnailStore
from fercli.parallel import in_threads
from fercli.progress import Progress

_CHUNK = 128


@dataclass(frozen=True)
class ImageScan:
    """What was seen in the images of a data set.

    Attributes:
        constant: Numbers of the rows of one constant value.
        hashes: (pictures,) and (pictures,), of each distinct picture and of its mirror image.
        lively: (pictures,), whether each has any contrast at 48 x 48.
    """

    constant: list[int]
    hashes: tuple[Hashes, Hashes]
    lively: npt.NDArray[np.bool_]


def scan(
    folder: Path,
    rows: Sequence[Row],
    pictures: Sequence[Sequence[int]],
    album: ThumbnailStore,
    workers: int | None,
    progress: Progress,
) -> ImageScan:
    """Read all images of the data set in `folder`, in threads.

    Args:
        folder: The data set's folder.
        rows: Its index.
        pictures: The numbers of the rows of each distinct picture.
        album: Where each of them is kept at 48 x 48, for correlation.
        workers: Threads; None for one a core.
        progress: Moves with the images read.

    Raises:
        DataError: an image is missing, broken or changed.
    """
    hashes, mirrored = np.empty(len(pictures), np.uint64), np.empty(len(pictures), np.uint64)
    lively = np.empty(len(pictures), bool)
    picture_of = np.full(len(rows), -1)  # of the first image of each; the others show the same
    picture_of[[images[0] for images in pictures]] = np.arange(len(pictures))

    def look_at(numbers: range) -> list[int]:
        constant, seen, small = [], [], []
        for i in numbers:
            pixels = read_checked(folder, rows[i])
            if is_constant(pixels):
                constant.append(i)
            if (picture := int(picture_of[i])) >= 0:
                to_hash, to_compare = shrink(pixels)
                album[picture], lively[picture] = to_compare, to_compare.min() != to_compare.max()
                seen.append(picture)
                small.append(to_hash)
        if seen:
            hashes[seen], mirrored[seen] = perceptual_hashes(np.stack(small))
        return constant

    chunks = [range(low, min(low + _CHUNK, len(rows))) for low in range(0, len(rows), _CHUNK)]
    constant: list[int] = []
    with progress.task("reading", len(rows)):
        for numbers, found in zip(chunks, in_threads(look_at, chunks, workers), strict=True):
            constant += found
            progress.advance(len(numbers))
    return ImageScan(constant, (hashes, mirrored), lively)
