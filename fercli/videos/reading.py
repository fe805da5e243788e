"""Reading a video file or a webcam frame by frame, by whichever library is installed."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fercli.errors import ImageError
from fercli.images import Pixels
from fercli.videos.base import Backend, backend
from fercli.videos.every import Every

if TYPE_CHECKING:
    from fercli.videos.base import Reader

_TICK = 0.001
"""Seconds: times are written in thousandths, or worse."""
_END_TOLERANCE = 0.5
"""Seconds by which a video may end early: the last seconds of some containers hold a frame less than they say."""


class Video:
    """A video file or a webcam, read frame by frame.

    Attributes:
        name: What errors call it.
        rate: Frames a second as it says; 0.0 where it does not.
        expected: Frames that it says it has; 0 where it does not say, and for a webcam.
        duration: Seconds that it says it lasts; 0.0 where it does not say, and for a webcam.

    Args:
        source: A file, or a webcam's number.
        by: The library; None: PyAV where it is installed, OpenCV otherwise and for webcams.

    Raises:
        ImageError: it is no video that can be read.
        DataError: there is no such webcam.
    """

    def __init__(self, source: Path | int, by: Backend | None = None) -> None:
        self.name = f"webcam {source}" if isinstance(source, int) else str(source)
        self._reader: Reader
        if isinstance(source, int) or (by or backend()) == "opencv":
            from fercli.videos.opencv import OpenCVReader

            self._reader = OpenCVReader(source, self.name)
        else:
            from fercli.videos.pyav import PyAVReader

            self._reader = PyAVReader(source, self.name)
        self.rate, self.expected, self.duration = self._reader.rate, self._reader.expected, self._reader.duration
        self._count, self._ended, self._gap = 0, 0.0, 0.0

    def frames(self, every: int | Every = 1) -> Generator[tuple[int, float, Pixels]]:
        """Yield each `every`-th frame, or one each so many seconds: its number from 0, its time in seconds, its pixels.

        Of a distance in seconds the first frame is taken at or after each multiple of it.

        Raises:
            ImageError: there is not one frame to read, or none has a time and times are asked for.
        """
        wanted = every if isinstance(every, Every) else Every(every)
        due = 0.0
        self._count, self._ended, self._gap = 0, 0.0, 0.0
        for told, pixels in self._reader.frames():
            number, seconds = self._count, self._seconds(told)
            if wanted.seconds and seconds <= 0 and number > 1:
                raise ImageError("no times", f"{self.name}: its frames have no times; take each tenth frame, say")
            self._count, self._ended, self._gap = number + 1, seconds, seconds - self._ended
            if seconds + _TICK < due if wanted.seconds else number % wanted.frames:
                continue
            if (frame := _decoded(pixels)) is None:
                continue
            if wanted.seconds:
                due = (math.floor((seconds + _TICK) / wanted.seconds) + 1) * wanted.seconds
            yield number, seconds, frame
        if not self._count:
            raise ImageError("no frame", f"{self.name}: no frame can be read (cut off, empty, or of an unknown codec)")

    def _seconds(self, told: float | None) -> float:
        """Return the time of the next frame. Some containers have none: then the rate tells."""
        seconds = told or 0.0
        if self._count and seconds <= 0 and self.rate:
            seconds = self._count / self.rate
        return max(0.0, seconds)

    @property
    def cut_off(self) -> str:
        """A line that says where the frames ended, once all were read, if that is earlier than the container says."""
        if self._ended + max(self._gap, 0.0) >= self.duration - max(_END_TOLERANCE, self._gap):
            return ""
        frames = f"frame {self._count:,} of {self.expected:,}, " if self.expected else ""
        return f"{self.name}: ends at {frames}second {self._ended:.1f} of {self.duration:.1f}: it is cut off or damaged"

    def frame(self, number: int) -> Pixels | None:
        """Jump to a frame and return its pixels. Where a container's times are odd it may be one near it, or none."""
        return self._reader.jump(number)

    def close(self) -> None:
        """Let go of the file or camera."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _decoded(pixels: Callable[[], Pixels]) -> Pixels | None:
    with suppress(ImageError):
        return pixels()
    return None
