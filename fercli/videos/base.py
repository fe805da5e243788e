"""The interface of the two video libraries, and checks before either opens a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from fercli.errors import ImageError
from fercli.files import open_file
from fercli.images import MAX_PIXELS, Pixels

_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]", b"v=0", b"<SMIL")
"""First bytes of files that list other files and URLs, which a video library would open."""

Backend = Literal["pyav", "opencv"]
TimedFrame = tuple[float | None, Callable[[], Pixels]]
"""A frame's time in seconds (None if unknown), and a function that returns its pixels."""


@cache
def backend() -> Backend:
    """Return the library used for reading and writing videos."""
    with suppress(ImportError, OSError):
        import_module("fercli.videos.pyav")
        return "pyav"
    return "opencv"


class Reader(Protocol):
    """Reads the frames of one file or camera.

    Attributes:
        rate: Frames per second according to the container; 0.0 if unknown.
        expected: Number of frames according to the container; 0 if unknown.
        duration: Seconds according to the container; 0.0 if unknown.
    """

    rate: float
    expected: int
    duration: float

    def frames(self) -> Iterator[TimedFrame]:
        """Yield every frame in display order. A frame's pixels must be requested before the next frame."""
        ...

    def seek(self, number: int) -> Pixels | None:
        """Return the pixels of a frame, or of one near it if times are irregular; None if there is none."""
        ...

    def close(self) -> None:
        """Close the file or camera."""
        ...


class Writer(Protocol):
    """Encodes frames of one size into one file."""

    def write(self, frame: Pixels, seconds: float, duration: float) -> None:
        """Append a frame (H, W, 3), RGB, shown from `seconds` for `duration` seconds."""
        ...

    def close(self) -> None:
        """Flush the encoder and close the file."""
        ...


def open_regular(path: Path) -> BinaryIO:
    """Open a video file for reading.

    Raises:
        ImageError: it is missing, empty, not a regular file (a pipe would block forever), or a playlist.
    """
    try:
        file = open_file(path)
    except OSError as error:
        raise ImageError("unreadable", f"{path}: {error.strerror or error}") from error
    start = file.read(64)
    problem = ("empty", "the file is empty") if not start else None
    if start.lstrip().startswith(_PLAYLISTS):
        problem = "not a video", "a playlist, not a video"
    if problem:
        file.close()
        raise ImageError(problem[0], f"{path}: {problem[1]}")
    file.seek(0)
    return file


def check_size(name: str, width: float, height: float) -> None:
    """Check that frames are small enough to decode.

    Raises:
        ImageError: they are not.
    """
    if width * height > MAX_PIXELS:
        raise ImageError("too large", f"{name}: frames of {width:.0f} x {height:.0f} pixels are too large")
