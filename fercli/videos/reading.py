"""Reading a video file or a webcam frame by frame, with whichever library is installed."""

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
"""Resolution of times in seconds: they are stored in thousandths, or worse."""
_END_TOLERANCE = 0.5
"""Seconds by which a video may end early: some containers have a frame less than they declare."""


class Video:
    """A video file or a webcam, read frame by frame.

    Attributes:
        name: Its name in error messages.
        rate: Frames per second according to the container; 0.0 if unknown.
        expected: Number of frames according to the container; 0 if unknown, and for a webcam.
        duration: Seconds according to the container; 0.0 if unknown, and for a webcam.

    Args:
        source: A file, or a webcam's number.
        library: The library; None: PyAV if installed, else OpenCV, and always OpenCV for webcams.

    Raises:
        ImageError: it cannot be read as a video.
        DataError: there is no such webcam.
    """

    def __init__(self, source: Path | int, library: Backend | None = None) -> None:
        self.name = f"webcam {source}" if isinstance(source, int) else str(source)
        self._reader: Reader
        if isinstance(source, int) or (library or backend()) == "opencv":
            from fercli.videos.opencv import OpenCVReader

            self._reader = OpenCVReader(source, self.name)
        else:
            from fercli.videos.pyav import PyAVReader

            self._reader = PyAVReader(source, self.name)
        self.rate, self.expected, self.duration = self._reader.rate, self._reader.expected, self._reader.duration
        self._count, self._ended, self._gap = 0, 0.0, 0.0

    def frames(self, every: int | Every = 1) -> Generator[tuple[int, float, Pixels]]:
        """Yield frames at an interval: number from 0, time in seconds, pixels.

        For an interval in seconds, the first frame at or after each multiple of it is taken.

        Raises:
            ImageError: no frame can be read, or frames have no times and the interval is in seconds.
        """
        interval = every if isinstance(every, Every) else Every(every)
        due = 0.0
        self._count, self._ended, self._gap = 0, 0.0, 0.0
        for time, pixels in self._reader.frames():
            number, seconds = self._count, self._seconds(time)
            if interval.seconds and seconds <= 0 and number > 1:
                raise ImageError(
                    "no times", f"{self.name}: its frames have no times; use an interval in frames, such as 10"
                )
            self._count, self._ended, self._gap = number + 1, seconds, seconds - self._ended
            if seconds + _TICK < due if interval.seconds else number % interval.frames:
                continue
            if (frame := _decoded(pixels)) is None:
                continue
            if interval.seconds:
                due = (math.floor((seconds + _TICK) / interval.seconds) + 1) * interval.seconds
            yield number, seconds, frame
        if not self._count:
            raise ImageError("no frame", f"{self.name}: no frame can be read (truncated, empty, or an unknown codec)")

    def _seconds(self, time: float | None) -> float:
        """Return the time of the next frame. Some containers have no times: then it is derived from the rate."""
        seconds = time or 0.0
        if self._count and seconds <= 0 and self.rate:
            seconds = self._count / self.rate
        return max(0.0, seconds)

    @property
    def cut_off(self) -> str:
        """A message if the frames, once all were read, ended earlier than the container declares; else empty."""
        if self._ended + max(self._gap, 0.0) >= self.duration - max(_END_TOLERANCE, self._gap):
            return ""
        frames = f"frame {self._count:,} of {self.expected:,}, " if self.expected else ""
        return f"{self.name}: ends at {frames}second {self._ended:.1f} of {self.duration:.1f}: truncated or damaged"

    def frame(self, number: int) -> Pixels | None:
        """Seek to a frame and return its pixels. If times are irregular it may be one near it, or None."""
        return self._reader.seek(number)

    def close(self) -> None:
        """Close the file or camera."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _decoded(pixels: Callable[[], Pixels]) -> Pixels | None:
    with suppress(ImageError):
        return pixels()
    return None
