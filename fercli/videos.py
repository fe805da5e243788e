"""Reading and writing videos and reading webcams, by OpenCV. Frames are numpy arrays (H, W, 3), uint8, RGB."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from fercli.errors import DataError, FerError, ImageError, UsageError
from fercli.files import open_file
from fercli.images import MAX_PIXELS, Pixels

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp", ".ogv"}
)
"""The endings that count as videos."""
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG"}
"""What is written, by ending: codecs that every build of OpenCV brings."""


_TICK = 0.001
"""Seconds: times are written in thousandths, or worse."""


def is_video(path: Path) -> bool:
    """Tell whether a file's ending is a video's."""
    return path.suffix.lower() in SUFFIXES


@dataclass(frozen=True, slots=True)
class Every:
    """How far apart the frames are that are taken of a video.

    Attributes:
        frames: One of so many frames.
        seconds: Or one every so many seconds; 0.0 where frames are counted.
    """

    frames: int = 1
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Every:
        """Read `1s`, `0.5s` or `250ms`, or a number of frames: `10` or `10f`.

        Raises:
            ValueError: it is none of these, or not more than nothing.
        """
        found = re.fullmatch(r"(?:(\d{1,9})f?|(\d{1,9}(?:\.\d{1,9})?)(m?)s)", text.strip(), re.ASCII)
        if found is None:
            raise ValueError("wanted as 1s, 0.5s, 250ms or, in frames, 10")
        frames, times, thousandth = found.groups()
        if (every := float(frames or times) / (1000 if thousandth else 1)) <= 0:
            raise ValueError("wanted as more than nothing, such as 1s")
        return cls(frames=int(frames)) if frames else cls(seconds=every)

    def __str__(self) -> str:
        return f"{self.seconds:.12g}s" if self.seconds else f"{self.frames}f"


class Video:
    """A video file or a webcam, read frame by frame.

    Attributes:
        name: What errors call it.
        rate: Frames a second as it says; 0.0 where it does not.
        expected: Frames that it says it has; 0 where it does not say, and for a webcam.
    """

    def __init__(self, source: Path | int) -> None:
        self.name = f"webcam {source}" if isinstance(source, int) else str(source)
        self._live = isinstance(source, int)
        self._capture = _webcam(source) if isinstance(source, int) else _file(source)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = float(rate) if 0 < rate < 1000 else 0.0
        self.expected = 0 if self._live else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        width, height = (self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            self.close()
            raise ImageError(
                "too large", f"{self.name}: frames of {width:.0f} x {height:.0f} pixels are too large to be read"
            )

    def frames(self, every: int | Every = 1) -> Iterator[tuple[int, float, Pixels]]:
        """Yield each `every`-th frame, or one each so many seconds: its number from 0, its time in seconds, its pixels.

        Of a distance in seconds the first frame is taken at or after each multiple of it.

        Raises:
            ImageError: there is not one frame to read, or none has a time and times are asked for.
        """
        wanted = every if isinstance(every, Every) else Every(every)
        number, due = 0, 0.0
        while self._capture.grab():
            seconds = self._seconds(number)
            if wanted.seconds and seconds <= 0 and number > 1:
                raise ImageError("no times", f"{self.name}: its frames have no times; take each tenth frame, say")
            if seconds + _TICK >= due if wanted.seconds else number % wanted.frames == 0:
                whole, frame = self._capture.retrieve()
                if not whole:
                    break
                if wanted.seconds:
                    due = (math.floor((seconds + _TICK) / wanted.seconds) + 1) * wanted.seconds
                yield number, seconds, _rgb(frame)
            number += 1
        if not number:
            raise ImageError(
                "no frame", f"{self.name}: no frame can be read (cut off, empty, or of a codec OpenCV lacks)"
            )

    def _seconds(self, number: int) -> float:
        """Return the time of the frame that was grabbed. Some containers have none: then the rate tells."""
        seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if number and seconds <= 0 and self.rate:
            seconds = number / self.rate
        return max(0.0, seconds)

    def frame(self, number: int) -> Pixels | None:
        """Jump to a frame and return its pixels. Where a container's times are odd it may be one near it, or none."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        whole, frame = self._capture.read()
        return _rgb(frame) if whole else None

    def close(self) -> None:
        """Let go of the file or camera."""
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _file(path: Path) -> cv2.VideoCapture:
    try:
        with open_file(path) as file:
            start = file.read(16)
    except OSError as error:
        raise ImageError("unreadable", f"{path}: {error.strerror or error}") from error
    if not start:
        raise ImageError("empty", f"{path}: the file is empty")
    if start.startswith(b"#EXTM3U"):
        # A playlist under a video's name would make the reader open whatever addresses it lists.
        raise ImageError("not a video", f"{path}: a playlist, not a video")
    # The absolute path, and this backend alone: a name with % or : is a name, no pattern and no protocol.
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise ImageError(
            "not a video", f"{path}: cannot be read as a video (cut off, no video, or of a codec OpenCV lacks)"
        )
    return capture


def _webcam(number: int) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise DataError(f"webcam {number}: there is none, or it is in use; name another as webcam:1, or a video file")
    return capture


def _rgb(frame: cv2.typing.MatLike) -> Pixels:
    if frame.ndim == 2:
        frame = np.repeat(frame[..., None], 3, axis=2)
    return np.ascontiguousarray(frame[..., 2::-1], dtype=np.uint8)


class VideoWriter:
    """Writes RGB frames of one size to a video file, beside its place until it is whole.

    Args:
        path: Where; its ending is one of `CODECS`.
        rate: Frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        check_writable(path)
        self._path = path
        self._beside = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._rate = rate if rate > 0 else 25.0
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: Pixels) -> None:
        """Append a frame (H, W, 3).

        Raises:
            FerError: the file cannot be written.
        """
        height, width = frame.shape[:2]
        if self._writer is None:
            codec = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._beside.absolute()), codec, self._rate, (width, height))
            if not self._writer.isOpened():
                self.discard()
                raise FerError(f"{self._path}: cannot be written")
        self._writer.write(np.ascontiguousarray(frame[..., ::-1]))

    def finish(self) -> None:
        """Close the file and put it into its place."""
        if self._writer is not None:
            self._writer.release()
            os.replace(self._beside, self._path)

    def discard(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            self._writer.release()
        with suppress(FileNotFoundError):
            self._beside.unlink()


def check_writable(path: Path) -> None:
    """Refuse a place for a video whose ending says no container that can be written.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in CODECS:
        raise UsageError(f"{path}: videos are written as {', '.join(CODECS)}")
