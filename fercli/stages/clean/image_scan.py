"""Reading every image of a dataset once: checks its digest, detects constant images, computes perceptual hashes."""

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
    """The result of scanning a dataset's images.

    Attributes:
        constant: Rows of images of constant colour.
        hashes: (pictures,) and (pictures,), of each distinct picture and of its mirror image.
        has_contrast: (pictures,), whether each picture has any contrast at 48 x 48.
    """

    constant: list[int]
    hashes: tuple[Hashes, Hashes]
    has_contrast: npt.NDArray[np.bool_]


def scan(
    folder: Path,
    rows: Sequence[Row],
    pictures: Sequence[Sequence[int]],
    thumbnails: ThumbnailStore,
    workers: int | None,
    progress: Progress,
) -> ImageScan:
    """Read all images of the dataset in `folder`, in threads.

    Args:
        folder: The dataset's folder.
        rows: Its index.
        pictures: Rows of each distinct picture.
        thumbnails: Store for the pictures at 48 x 48, for correlation.
        workers: Number of threads; None for one per core.
        progress: Advances with each image.

    Raises:
        DataError: an image is missing, damaged or modified.
    """
    hashes, mirrored = np.empty(len(pictures), np.uint64), np.empty(len(pictures), np.uint64)
    has_contrast = np.empty(len(pictures), bool)
    picture_of = np.full(len(rows), -1)  # set for the first image of each picture; others are copies
    picture_of[[images[0] for images in pictures]] = np.arange(len(pictures))

    def scan_chunk(numbers: range) -> list[int]:
        constant, seen, small = [], [], []
        for i in numbers:
            pixels = read_checked(folder, rows[i])
            if is_constant(pixels):
                constant.append(i)
            if (picture := int(picture_of[i])) >= 0:
                to_hash, to_compare = shrink(pixels)
                thumbnails[picture], has_contrast[picture] = to_compare, to_compare.min() != to_compare.max()
                seen.append(picture)
                small.append(to_hash)
        if seen:
            hashes[seen], mirrored[seen] = perceptual_hashes(np.stack(small))
        return constant

    chunks = [range(low, min(low + _CHUNK, len(rows))) for low in range(0, len(rows), _CHUNK)]
    constant: list[int] = []
    with progress.task("reading", len(rows)):
        for numbers, found in zip(chunks, in_threads(scan_chunk, chunks, workers), strict=True):
            constant += found
            progress.advance(len(numbers))
    return ImageScan(constant, (hashes, mirrored), has_contrast)
