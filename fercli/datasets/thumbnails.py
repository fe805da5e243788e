"""Small pictures of one size kept on disk: a million of 48 x 48 pixels would take 2.3 GB of memory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from fercli.images import Pixels


class ThumbnailStore:
    """Pictures by their number, in a file without a name, which goes with the process.

    Args:
        folder: On whose disk it is.
        side: Height and width of the pictures, grey.
    """

    def __init__(self, folder: Path, side: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `__exit__`
        self._side = side

    def __setitem__(self, number: int, pixels: Pixels) -> None:
        """Keep a picture, uint8 (side, side); threads may do so side by side."""
        data, place = memoryview(pixels.tobytes()), number * self._side**2
        while data:  # a full disk takes a part, and says so at the next
            written = os.pwrite(self._file.fileno(), data, place)
            data, place = data[written:], place + written

    def __getitem__(self, numbers: npt.NDArray[np.intp]) -> Pixels:
        """Return pictures, uint8 (N, side, side)."""
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
