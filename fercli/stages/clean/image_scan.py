"""Reading every image of a dataset once: checks its digest, detects constant images, computes perceptual hashes.

The results are kept in files beside the output, so that an interrupted call resumes with the images that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.datasets.duplicates import is_constant
from fercli.datasets.index import Row
from fercli.datasets.perceptual import COMPARE_SIDE, Hashes, perceptual_hashes, shrink
from fercli.datasets.reading import read_checked
from fercli.datasets.thumbnails import ThumbnailStore
from fercli.files import preallocate
from fercli.parallel import in_threads
from fercli.progress import Progress

_CHUNK = 128
_RECORDS, _THUMBNAILS = "scan.bin", "thumbnails.bin"
SCAN_FILES = (_RECORDS, _THUMBNAILS)
"""The files of a scan, to be removed at the end."""
_RECORD = np.dtype([("hash", "<u8"), ("mirrored", "<u8"), ("constant", "?"), ("contrast", "?"), ("done", "?")])


@dataclass(frozen=True)
class ImageScan:
    """The result of scanning a dataset's images.

    Attributes:
        constant: Rows of images of constant colour.
        hashes: (pictures,) and (pictures,), of each distinct picture and of its mirror image.
        has_contrast: (pictures,), whether each picture has any contrast at 48 x 48.
        thumbnails: The pictures at 48 x 48.
    """

    constant: list[int]
    hashes: tuple[Hashes, Hashes]
    has_contrast: npt.NDArray[np.bool_]
    thumbnails: ThumbnailStore


@contextmanager
def scan(
    folder: Path,
    rows: Sequence[Row],
    pictures: Sequence[Sequence[int]],
    out: Path,
    workers: int | None,
    progress: Progress,
) -> Iterator[ImageScan]:
    """Read all images of the dataset in `folder`, in threads.

    Args:
        folder: The dataset's folder.
        rows: Its index.
        pictures: Rows of each distinct picture.
        out: Folder of `SCAN_FILES`, which an earlier call may have left there.
        workers: Number of threads; None for one per core.
        progress: Advances with each image.

    Raises:
        DataError: an image is missing, damaged or modified.
    """
    firsts = np.array([images[0] for images in pictures])  # the others are copies
    picture_of = np.full(len(rows), -1)
    picture_of[firsts] = np.arange(len(pictures))
    records = _open_records(out / _RECORDS, len(rows))
    with ThumbnailStore(out / _THUMBNAILS, COMPARE_SIDE) as thumbnails:

        def scan_chunk(numbers: range) -> None:
            seen, small = [], []
            for i in numbers:
                pixels = read_checked(folder, rows[i])
                records["constant"][i] = is_constant(pixels)
                if (picture := int(picture_of[i])) >= 0:
                    to_hash, to_compare = shrink(pixels)
                    thumbnails[picture] = to_compare
                    records["contrast"][i] = to_compare.min() != to_compare.max()
                    seen.append(i)
                    small.append(to_hash)
            if seen:
                records["hash"][seen], records["mirrored"][seen] = perceptual_hashes(np.stack(small))
            records["done"][numbers.start : numbers.stop] = True  # last: the process may be killed at any moment

        chunks = [range(low, min(low + _CHUNK, len(rows))) for low in range(0, len(rows), _CHUNK)]
        waiting = [chunk for chunk in chunks if not records["done"][chunk.start : chunk.stop].all()]
        with progress.task("reading", len(rows)):
            if done := len(rows) - sum(map(len, waiting)):
                progress.log(f"{done:,} images were read by an earlier call")
                progress.advance(done)
            for numbers, _ in zip(waiting, in_threads(scan_chunk, waiting, workers), strict=True):
                progress.advance(len(numbers))
        hashes = records["hash"][firsts], records["mirrored"][firsts]
        constant = np.flatnonzero(records["constant"]).tolist()
        yield ImageScan(constant, hashes, records["contrast"][firsts], thumbnails)


def _open_records(file: Path, count: int) -> npt.NDArray[np.void]:
    """Return the records of a dataset's rows in a file; a file of another size is not continued."""
    size = count * _RECORD.itemsize
    if not file.is_file() or file.stat().st_size != size:
        with file.open("wb") as new:
            preallocate(new.fileno(), size)  # on a full disk, writing to mapped memory would end the process
            new.truncate(size)
    return np.memmap(file, _RECORD, "r+", shape=(count,))
