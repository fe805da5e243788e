"""Writing a video file, with whichever library is installed."""

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
"""The file extensions of supported output formats."""
DEFAULT_RATE = 25.0
"""Frames per second if the source's rate is unknown."""

_FAILURES = (OSError, ValueError, RuntimeError, LookupError, FerError)


class VideoWriter:
    """Writes RGB frames to a video file, under a temporary name until it is complete.

    Frames keep their times: exactly with PyAV, by repetition with OpenCV.

    Args:
        path: The file, with an extension in `WRITABLE_SUFFIXES`.
        rate: Frames per second, if constant; 0.0 if unknown.
        audio: A video whose audio is copied if the container supports it; OpenCV does not support audio.
        comment: Written into the file, for `has_comment`.
        library: The library; None: PyAV if installed, else OpenCV, and always OpenCV for .avi, which stores no times.

    Attributes:
        note: Why the audio is not copied; empty if it is.

    Raises:
        UsageError: the file extension is not supported.
    """

    def __init__(
        self, path: Path, rate: float, audio: Path | None = None, comment: str = "", library: Backend | None = None
    ) -> None:
        check_writable(path)
        self.note = ""
        self._path, self._audio, self._comment, self._library = path, audio, comment, library or backend()
        self._rate = rate if rate > 0 else DEFAULT_RATE
        self._writer: Writer | None = None
        self._tmp_path: Path | None = None
        self._temporary = ExitStack()
        self._size = (0, 0)
        self._pending: tuple[Pixels, float] | None = None
        self._count = 0
        self._shortest = 1 / self._rate

    def write(self, frame: Pixels, seconds: float | None = None) -> None:
        """Append a frame (H, W, 3). It is fitted to the first frame's size, keeping its aspect ratio.

        Args:
            frame: Its pixels.
            seconds: The time at which it is shown; None: one frame's duration after the previous one.

        Raises:
            FerError: the file cannot be written.
        """
        if seconds is None:
            seconds = self._count / self._rate
        if not self._count:
            self._size = frame.shape[1], frame.shape[0]
        self._count += 1
        if self._pending is not None:  # its duration is known now
            shown = max(0.0, seconds - self._pending[1])
            self._shortest = min(self._shortest, shown or self._shortest)
            self._encode(*self._pending, shown)
        self._pending = _pad_to_even(fit_frame(frame, *self._size)), seconds

    def _encode(self, frame: Pixels, seconds: float, duration: float) -> None:
        try:
            if self._writer is None:
                self._writer = self._open()
            self._writer.write(frame, seconds, duration)
        except _FAILURES as error:
            raise self._failed(error) from error

    def _open(self) -> Writer:
        self._tmp_path = self._temporary.enter_context(temporary_beside(self._path))
        size = self._size[0] + self._size[0] % 2, self._size[1] + self._size[1] % 2
        if self._library == "pyav" and self._path.suffix.lower() != ".avi":
            from fercli.videos.pyav import PyAVWriter

            writer = PyAVWriter(self._tmp_path, self._rate, size, self._audio)
            self.note = writer.note
            return writer
        from fercli.videos.opencv import OpenCVWriter

        self.note = self._audio_note()
        return OpenCVWriter(self._tmp_path, self._rate, size)

    def _audio_note(self) -> str:
        """Return the note on audio, which OpenCV cannot write."""
        if self._audio is None:
            return ""
        if self._library != "pyav":
            return "audio, if it has any, is left out"
        from fercli.videos.pyav import has_audio

        return "its audio is left out" if has_audio(self._audio) else ""

    def finish(self) -> None:
        """Close the file and move it to its path.

        Raises:
            FerError: the file cannot be written.
        """
        if self._pending is None:
            return
        self._encode(*self._pending, self._shortest)  # for irregular frames, the mean rate is not meaningful
        assert self._writer is not None
        assert self._tmp_path is not None
        try:
            self._writer.close()
            self._writer = None
            if self._comment:
                write_comment(self._tmp_path, self._comment)
            publish(self._tmp_path, self._path)
            self._temporary.close()
        except _FAILURES as error:
            raise self._failed(error) from error

    def discard(self) -> None:
        """Remove the unfinished file."""
        self._pending = None
        if self._writer is not None:
            with suppress(*_FAILURES):
                self._writer.close()
            self._writer = None
        self._temporary.close()

    def _failed(self, error: Exception) -> FerError:
        self.discard()
        return FerError(f"{self._path}: cannot be written ({getattr(error, 'strerror', None) or error})")


def _pad_to_even(frame: Pixels) -> Pixels:
    """Pad a frame to even sides by repeating its last row or column: codecs halve the chroma planes."""
    height, width = frame.shape[:2]
    if height % 2 == width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def check_writable(path: Path) -> None:
    """Check that a path has the file extension of a supported output format.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(f"{path}: supported video formats are {', '.join(WRITABLE_SUFFIXES)}")
