"""Reading an image of a data set, and seeing that it is the one that was indexed."""

from __future__ import annotations

from pathlib import Path

from fercli.datasets.index import Row
from fercli.errors import DataError, ImageError
from fercli.images import Pixels, pixel_digest, read_image


def read_checked(folder: Path, row: Row) -> Pixels:
    """Read one image of a data set.

    Raises:
        DataError: it is missing, cannot be read, or is not the image that was indexed.
    """
    path = folder / row.path
    try:
        pixels = read_image(path)
    except ImageError as error:
        raise DataError(f"{error}; the data set is damaged: make it anew") from error
    if pixel_digest(pixels) != row.sha256:
        raise DataError(f"{path}: was changed after the data set was made; make the data set anew")
    return pixels
