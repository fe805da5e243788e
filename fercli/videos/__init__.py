"""Reading and writing videos, and reading webcams. Frames are numpy arrays (H, W, 3), uint8, RGB.

PyAV does it where it is installed (the extra `video`): it knows the time of each frame, turns pictures upright as the
container says, and writes H.264 with the source's sound. OpenCV is the fallback, and reads webcams. Both read the same
pixels. Neither is imported before a video is opened.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from fercli.errors import FerError, ImageError, UsageError
from fercli.images import Pixels, fit_frame
from fercli.videos.comment import has_comment, write_comment
from fercli.videos.every import Every

if TYPE_CHECKING:
    from fercli.videos.base import Reader, Writer

Backend = Literal["pyav", "opencv"]

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp", ".ogv"}
)
"""The endings that count as videos."""
WRITTEN = (".mp4", ".m4v", ".mov", ".avi")
"""The endings of what can be written."""
USUAL_RATE = 25.0
"""Frames per second where a source does not say."""

_TICK = 0.001
"""Seconds: times are written in thousandths, or worse."""
_CUT = 0.5
"""Seconds by which a video may end early: the last seconds of some containers hold a frame less than they say."""


def is_video(path: Path) -> bool:
    """Tell whether a file's ending is a video's."""
    return path.suffix.lower() in SUFFIXES


@cache
def backend() -> Backend:
    """Return which library reads and writes videos here."""
    with suppress(ImportError, OSError):
        import_module("fercli.videos.pyav")
        return "pyav"
    return "opencv"


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

    def frames(self, every: int | Every = 1) -> Iterator[tuple[int, float, Pixels]]:
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
        if self._ended + max(self._gap, 0.0) >= self.duration - max(_CUT, self._gap):
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


class VideoWriter:
    """Writes RGB frames to a video file, beside its place until it is whole.

    Frames keep their times: through PyAV exactly, through OpenCV by being repeated.

    Args:
        path: Where; its ending is one of `WRITTEN`.
        rate: Frames a second, where they are regular; of a source of unknown rate 0.0.
        sound: A video whose sound is copied where the written kind of file allows it; OpenCV knows no sound.
        comment: Is written into the file, to be known again by `has_comment`.
        by: The library; None: PyAV where it is installed, OpenCV otherwise and for .avi, which holds no times.

    Attributes:
        note: What became of the sound, where it is not copied; else empty.

    Raises:
        UsageError: the ending is none that can be written.
    """

    def __init__(
        self, path: Path, rate: float, sound: Path | None = None, comment: str = "", by: Backend | None = None
    ) -> None:
        check_writable(path)
        self.note = ""
        self._path, self._sound, self._comment, self._by = path, sound, comment, by or backend()
        self._rate = rate if rate > 0 else USUAL_RATE
        self._writer: Writer | None = None
        self._beside: Path | None = None
        self._size = (0, 0)
        self._waiting: tuple[Pixels, float] | None = None
        self._count = 0

    def write(self, frame: Pixels, seconds: float | None = None) -> None:
        """Append a frame (H, W, 3). One of another size than the first is brought to it, its aspect ratio kept.

        Args:
            frame: Its pixels.
            seconds: When it is shown; None: one frame's length after the last.

        Raises:
            FerError: the file cannot be written.
        """
        if seconds is None:
            seconds = self._count / self._rate
        if not self._count:
            self._size = frame.shape[1], frame.shape[0]
        self._count += 1
        if self._waiting is not None:  # how long it is shown is known now
            self._put(*self._waiting, max(0.0, seconds - self._waiting[1]))
        self._waiting = _even(fit_frame(frame, *self._size)), seconds

    def _put(self, frame: Pixels, seconds: float, duration: float) -> None:
        try:
            if self._writer is None:
                self._writer = self._open()
            self._writer.write(frame, seconds, duration)
        except (OSError, ValueError, RuntimeError, LookupError, FerError) as error:
            raise self._failed(error) from error

    def _open(self) -> Writer:
        handle, name = tempfile.mkstemp(self._path.suffix.lower(), ".fercli-", self._path.parent)
        os.close(handle)
        self._beside = Path(name)
        size = self._size[0] + self._size[0] % 2, self._size[1] + self._size[1] % 2
        if self._by == "pyav" and self._path.suffix.lower() != ".avi":
            from fercli.videos.pyav import PyAVWriter

            writer = PyAVWriter(self._beside, self._rate, size, self._sound)
            self.note = writer.note
            return writer
        from fercli.videos.opencv import OpenCVWriter

        self.note = "its sound is left out" if self._sound is not None else ""
        return OpenCVWriter(self._beside, self._rate, size)

    def finish(self) -> None:
        """Close the file and put it into its place.

        Raises:
            FerError: the file cannot be written.
        """
        if self._waiting is None:
            return
        self._put(*self._waiting, 1 / self._rate)
        assert self._writer is not None
        assert self._beside is not None
        try:
            self._writer.close()
            self._writer = None
            if self._comment:
                write_comment(self._beside, self._comment)
            os.chmod(self._beside, 0o666 & ~_umask())
            os.replace(self._beside, self._path)
        except (OSError, ValueError, RuntimeError, LookupError, FerError) as error:
            raise self._failed(error) from error

    def discard(self) -> None:
        """Remove what was written."""
        self._waiting = None
        if self._writer is not None:
            with suppress(OSError, ValueError, RuntimeError, LookupError, FerError):
                self._writer.close()
            self._writer = None
        if self._beside is not None:
            with suppress(FileNotFoundError):
                self._beside.unlink()

    def _failed(self, error: Exception) -> FerError:
        self.discard()
        return FerError(f"{self._path}: cannot be written ({getattr(error, 'strerror', None) or error})")


def _even(frame: Pixels) -> Pixels:
    """Return a frame with even sides, its last row or column repeated: codecs halve the planes of colour."""
    height, width = frame.shape[:2]
    if height % 2 == width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _umask() -> int:
    """Return the mask of permissions, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_writable(path: Path) -> None:
    """Refuse a place for a video whose ending says no container that can be written.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in WRITTEN:
        raise UsageError(f"{path}: videos are written as {', '.join(WRITTEN)}")


__all__ = ["SUFFIXES", "WRITTEN", "Every", "Video", "VideoWriter", "backend", "check_writable", "is_video", "has_comment"]
