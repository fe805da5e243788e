"""Thumbnails on disk: a million of 48 x 48 pixels would take 2.3 GB of memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from fercli.images import Pixels


class ThumbnailStore:
    """Thumbnails by number, in a file that stays, so that an interrupted call can be resumed.

    Args:
        file: The file; its thumbnails are kept if it exists.
        side: Height and width of the grey thumbnails.
    """

    def __init__(self, file: Path, side: int) -> None:
        self._file = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        self._side = side

    def __setitem__(self, number: int, pixels: Pixels) -> None:
        """Store a thumbnail, uint8 (side, side); thread-safe."""
        data, place = memoryview(pixels.tobytes()), number * self._side**2
        while data:  # on a full disk a write is partial, and the next one fails
            written = os.pwrite(self._file.fileno(), data, place)
            data, place = data[written:], place + written

    def __getitem__(self, numbers: npt.NDArray[np.intp]) -> Pixels:
        """Return thumbnails, uint8 (N, side, side)."""
        size = self._side**2
        found = np.empty((len(numbers), size), np.uint8)
        for row, number in zip(found, numbers.tolist(), strict=True):
            row[:] = np.frombuffer(os.pread(self._file.fileno(), size, number * size), np.uint8)
        return found.reshape(-1, self._side, self._side)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
