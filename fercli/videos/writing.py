"""Writing a video file, by whichever library is installed."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fercli.artifacts import publish, temporary_beside
from fercli.errors import FerError, UsageError
from fercli.images import Pixels, fit_frame
from fercli.videos.base import Backend, backend
from fercli.videos.comment import write_comment

if TYPE_CHECKING:
    from fercli.videos.base import Writer

WRITABLE_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi")
"""The endings of what can be written."""
DEFAULT_RATE = 25.0
"""Frames per second where a source does not say."""

_FAILURES = (OSError, ValueError, RuntimeError, LookupError, FerError)


class VideoWriter:
    """Writes RGB frames to a video file, beside its place until it is whole.

    Frames keep their times: through PyAV exactly, through OpenCV by being repeated.

    Args:
        path: Where; its ending is one of `WRITABLE_SUFFIXES`.
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
        self._rate = rate if rate > 0 else DEFAULT_RATE
        self._writer: Writer | None = None
        self._beside: Path | None = None
        self._temporary = ExitStack()
        self._size = (0, 0)
        self._waiting: tuple[Pixels, float] | None = None
        self._count = 0
        self._shortest = 1 / self._rate

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
            shown = max(0.0, seconds - self._waiting[1])
            self._shortest = min(self._shortest, shown or self._shortest)
            self._put(*self._waiting, shown)
        self._waiting = _pad_to_even(fit_frame(frame, *self._size)), seconds

    def _put(self, frame: Pixels, seconds: float, duration: float) -> None:
        try:
            if self._writer is None:
                self._writer = self._open()
            self._writer.write(frame, seconds, duration)
        except _FAILURES as error:
            raise self._failed(error) from error

    def _open(self) -> Writer:
        self._beside = self._temporary.enter_context(temporary_beside(self._path))
        size = self._size[0] + self._size[0] % 2, self._size[1] + self._size[1] % 2
        if self._by == "pyav" and self._path.suffix.lower() != ".avi":
            from fercli.videos.pyav import PyAVWriter

            writer = PyAVWriter(self._beside, self._rate, size, self._sound)
            self.note = writer.note
            return writer
        from fercli.videos.opencv import OpenCVWriter

        self.note = self._silence()
        return OpenCVWriter(self._beside, self._rate, size)

    def _silence(self) -> str:
        """Return what is said of sound that OpenCV cannot write."""
        if self._sound is None:
            return ""
        if self._by != "pyav":
            return "sound, if it has any, is left out"
        from fercli.videos.pyav import has_sound

        return "its sound is left out" if has_sound(self._sound) else ""

    def finish(self) -> None:
        """Close the file and put it into its place.

        Raises:
            FerError: the file cannot be written.
        """
        if self._waiting is None:
            return
        self._put(*self._waiting, self._shortest)  # of irregular frames the mean rate says little
        assert self._writer is not None
        assert self._beside is not None
        try:
            self._writer.close()
            self._writer = None
            if self._comment:
                write_comment(self._beside, self._comment)
            publish(self._beside, self._path)
            self._temporary.close()
        except _FAILURES as error:
            raise self._failed(error) from error

    def discard(self) -> None:
        """Remove what was written."""
        self._waiting = None
        if self._writer is not None:
            with suppress(*_FAILURES):
                self._writer.close()
            self._writer = None
        self._temporary.close()

    def _failed(self, error: Exception) -> FerError:
        self.discard()
        return FerError(f"{self._path}: cannot be written ({getattr(error, 'strerror', None) or error})")


def _pad_to_even(frame: Pixels) -> Pixels:
    """Return a frame with even sides, its last row or column repeated: codecs halve the planes of colour."""
    height, width = frame.shape[:2]
    if height % 2 == width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def check_writable(path: Path) -> None:
    """Refuse a place for a video whose ending says no container that can be written.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(f"{path}: videos are written as {', '.join(WRITABLE_SUFFIXES)}")
