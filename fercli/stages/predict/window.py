"""A live window with the annotated frames of a webcam or a film."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from time import perf_counter
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.errors import FerError, UsageError
from fercli.images import Pixels
from fercli.stages.predict.annotation import draw_faces
from fercli.stages.predict.frames import FrameSource
from fercli.stages.predict.rows import Row

TITLE = "fer predict (q ends)"
QUIT_KEYS = (ord("q"), ord("Q"), 27)
"""q and Escape."""
MEMORY = 0.9
"""Weight of the past in the displayed frame rate and latency, per frame."""
_X11 = re.compile(r"(?P<host>[^:]*):(?P<number>\d+)(?:\.\d+)?")
_X11_PORT = 6000


class LiveWindow:
    """A window that shows each frame with its faces, the frame rate and the latency, until q, Escape or its closing.

    Args:
        enabled: Whether to open a window at all.
        source: The webcam or film.
        emotions: The model's emotions, in order.

    Attributes:
        closed: Whether the user has ended it.

    Raises:
        UsageError: the source is neither a webcam nor a film.
        FerError: there is no display, or OpenCV was built without windows.
    """

    def __init__(self, enabled: bool, source: FrameSource, emotions: list[str]) -> None:
        self._enabled, self._emotions, self.closed = enabled, emotions, False
        self._last = self._interval = self._latency = 0.0
        if not enabled:
            return
        if source.kind not in ("video", "webcam"):
            raise UsageError(f"--window: {source.name} is neither a webcam nor a film")
        check_display(os.environ.get)
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise FerError("--window: this OpenCV has no windows; pip install opencv-python, not -headless") from error

    def show(self, pixels: Pixels, rows: list[Row], started: float) -> None:
        """Show a frame.

        Args:
            pixels: The frame.
            rows: Its faces.
            started: `perf_counter()` when the frame was available; the latency counts from here.
        """
        if not self._enabled:
            return
        now = perf_counter()
        if self._last:
            self._interval = self._mean(self._interval, now - self._last)
        else:
            cv2.resizeWindow(TITLE, pixels.shape[1], pixels.shape[0])
        self._latency = self._mean(self._latency, now - started)
        self._last = now
        frame = _with_status(draw_faces(pixels, rows, self._emotions), self.status)
        cv2.imshow(TITLE, np.ascontiguousarray(frame[..., ::-1]))
        key = cv2.waitKey(1) & 0xFF
        self.closed = key in QUIT_KEYS or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1

    @property
    def status(self) -> str:
        """The frame rate and the latency, as shown."""
        rate = f"{1 / self._interval:.1f} frames/s, " if self._interval else ""
        return f"{rate}latency {1000 * self._latency:.0f} ms; q ends"

    @staticmethod
    def _mean(past: float, value: float) -> float:
        return MEMORY * past + (1 - MEMORY) * value if past else value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._enabled and not self.closed:
            cv2.destroyWindow(TITLE)


def check_display(variable: Callable[[str], str | None]) -> None:
    """Check that there is a display, since Qt, which OpenCV uses, ends the process without one.

    Args:
        variable: Returns the value of an environment variable.

    Raises:
        FerError: there is none.
    """
    if sys.platform != "linux" or variable("WAYLAND_DISPLAY"):
        return
    display = variable("DISPLAY") or ""
    found = _X11.fullmatch(display)
    if found is None:
        raise FerError("--window: there is no display (DISPLAY is not set); use --draw OUT.mp4 to record instead")
    number = int(found["number"])
    try:
        if found["host"] in ("", "unix"):
            with closing(socket.socket(socket.AF_UNIX)) as local:
                local.connect(f"/tmp/.X11-unix/X{number}")
        else:
            socket.create_connection((found["host"], _X11_PORT + number), timeout=5).close()
    except OSError as error:
        raise FerError(f"--window: the display {display} cannot be reached ({error.strerror or error})") from error


def _with_status(pixels: Pixels, text: str) -> Pixels:
    """Return a frame with a line of text in its lower left corner."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(11, round(min(image.size) / 28)))
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    height = y1 - y0 + 8
    draw.rectangle((0, image.height - height, x1 - x0 + 12, image.height), fill="black")
    draw.text((6 - x0, image.height - height + 4 - y0), text, font=font, fill="white")
    return np.asarray(image)
