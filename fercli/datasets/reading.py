"""Reading an image of a dataset and checking it against the index."""

from __future__ import annotations

from pathlib import Path

from fercli.datasets.index import Row
from fercli.errors import DataError, ImageError
from fercli.images import Pixels, pixel_digest, read_image


def read_checked(folder: Path, row: Row) -> Pixels:
    """Read one image of a dataset.

    Raises:
        DataError: it is missing, cannot be read, or differs from the indexed image.
    """
    path = folder / row.path
    try:
        pixels = read_image(path)
    except ImageError as error:
        raise DataError(f"{error}; the dataset is damaged: re-create it") from error
    if pixel_digest(pixels) != row.sha256:
        raise DataError(f"{path}: was modified after the dataset was created; re-create the dataset")
    return pixels
