"""Small videos, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fercli.videos import VideoWriter


def film(path: Path, frames: Iterable[np.ndarray], rate: float = 10.0) -> Path:
    """Write RGB frames as a video."""
    writer = VideoWriter(path, rate)
    for frame in frames:
        writer.write(frame)
    writer.finish()
    return path


def shade(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Return a frame of one shade of orange: its channels differ, so that a swap shows."""
    return np.full((height, width, 3), (value, value // 2, 0), np.uint8)
