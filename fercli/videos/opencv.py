"""Videos through OpenCV: the fallback if PyAV is not installed, and the reader of webcams.

It only supports constant frame rates: frames at irregular times are repeated, so that a written video keeps its
duration.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import cv2
import numpy as np

from fercli.errors import DataError, FerError, ImageError
from fercli.images import Pixels
from fercli.videos.base import TimedFrame, check_size, open_regular

CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG"}
"""Codecs included in every build of OpenCV, by file extension."""
MAX_REPEAT = 600.0
"""Maximum seconds for which a frame is repeated: broken times can be days apart."""


class OpenCVReader:
    """Reads a video file, or a webcam by its number."""

    def __init__(self, source: Path | int, name: str) -> None:
        self._live = isinstance(source, int)
        self._links: Path | None = None
        self._capture = _webcam(source) if isinstance(source, int) else self._open(source)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = float(rate) if 0 < rate < 1000 else 0.0
        self.expected = 0 if self._live else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.duration = self.expected / self.rate if self.rate else 0.0
        try:
            check_size(name, self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        except ImageError:
            self.close()
            raise

    def _open(self, path: Path) -> cv2.VideoCapture:
        open_regular(path).close()
        # Absolute, and with this backend only, so that % in a name is not a pattern, and : not a protocol.
        utf8, self._links = utf8_path(path)
        capture = cv2.VideoCapture(str(utf8), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            self._unlink()
            raise ImageError(
                "not a video", f"{path}: cannot be read as a video (truncated, not a video, or an unsupported codec)"
            )
        return capture

    def frames(self) -> Iterator[TimedFrame]:
        """Yield every frame. A webcam's times are wall-clock times, since few drivers report any."""
        started = None
        while self._capture.grab():
            now = monotonic()
            started = now if started is None else started
            yield now - started if self._live else float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000, self._pixels

    def _pixels(self) -> Pixels:
        ok, frame = self._capture.retrieve()
        if not ok:
            raise ImageError("unreadable", "a frame cannot be decoded")
        return _rgb(frame)

    def seek(self, number: int) -> Pixels | None:
        """Seek to a frame and return its pixels."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        ok, frame = self._capture.read()
        return _rgb(frame) if ok else None

    def close(self) -> None:
        """Close the file or camera."""
        self._capture.release()
        self._unlink()

    def _unlink(self) -> None:
        if self._links is not None:
            shutil.rmtree(self._links, ignore_errors=True)


def utf8_path(path: Path) -> tuple[Path, Path | None]:
    """Return a UTF-8 path to a file, and the temporary folder to remove afterwards, if one was needed.

    OpenCV only accepts UTF-8: any other path is reached through a symbolic link.
    """
    absolute = Path(os.path.abspath(path))
    with suppress(UnicodeEncodeError):
        str(absolute).encode()
        return absolute, None
    links = Path(tempfile.mkdtemp(prefix="fercli-"))
    link = links / f"video{path.suffix if path.suffix.isascii() else ''}"
    link.symlink_to(absolute)
    return link, links


def _webcam(number: int) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise DataError(f"webcam {number}: not found or in use; try another, as in webcam:1, or a video file")
    return capture


def _rgb(frame: cv2.typing.MatLike) -> Pixels:
    if frame.ndim == 2:
        frame = np.repeat(frame[..., None], 3, axis=2)
    return np.ascontiguousarray(frame[..., 2::-1], dtype=np.uint8)


class OpenCVWriter:
    """Writes a video with a constant frame rate.

    Args:
        path: The file, with a file extension in `CODECS`.
        rate: Frames per second.
        size: Width and height of the frames, even numbers.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        self._path, self._rate, self._written = path, rate, 0
        utf8, self._links = utf8_path(path)
        codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(utf8), codec, rate, size)
        if not self._writer.isOpened():
            self._unlink()
            raise FerError("unsupported codec or path")

    def write(self, frame: Pixels, seconds: float, duration: float) -> None:
        """Append a frame, repeated so that it is shown until `seconds + duration`."""
        end = round((seconds + min(duration, MAX_REPEAT)) * self._rate)
        start = round(seconds * self._rate)
        # After a gap longer than the maximum repetition, frames move up.
        repeats = end - max(self._written, start) if self._written else end - start
        for _ in range(max(0, repeats)):
            self._writer.write(np.ascontiguousarray(frame[..., ::-1]))
        self._written = max(self._written, end)

    def close(self) -> None:
        """Close the file.

        Raises:
            FerError: it is incomplete; OpenCV itself does not report a full disk.
        """
        self._writer.release()
        self._unlink()
        written, links = utf8_path(self._path)
        capture = cv2.VideoCapture(str(written), cv2.CAP_FFMPEG)
        ok = capture.isOpened() and capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        capture.release()
        if links is not None:
            shutil.rmtree(links, ignore_errors=True)
        if not ok:
            raise FerError("nothing was written; is the disk full?")

    def _unlink(self) -> None:
        if self._links is not None:
            shutil.rmtree(self._links, ignore_errors=True)
