"""Progress reporting.

A stage takes a `Progress`; the default is silent. The command line passes one that writes to stderr; the functions of
`import fercli` show a plain bar in a terminal or a notebook (`progress_of`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from time import monotonic
from typing import TextIO, TypeVar

from fercli.sanitize import replace_unprintable

T = TypeVar("T")


class Progress:
    """Progress callback. This base class is silent.

    `log` is for lines worth keeping (which input was chosen, what was skipped); `start`, `advance` and `stop` report
    the progress of a task.
    """

    def log(self, message: str) -> None:
        """Report one line."""

    def start(self, label: str, total: int | None = None) -> None:
        """Begin a task of `total` units (None if unknown); one task runs at a time."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Advance the task by `count` units; `note` is shown next to the bar."""

    def stop(self) -> None:
        """End the task."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`, advancing by one for each."""
        with self.task(label, total):
            for item in items:
                yield item
                self.advance()

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[None]:
        """Run the block as a task of `total` units (None if unknown); it is stopped even if the block raises."""
        self.start(label, total)
        try:
            yield
        finally:
            self.stop()


SILENT = Progress()


def clock(seconds: float) -> str:
    """Format a duration, as in `0:05`, `12:34` or `1:02:03`.

    >>> clock(5.2), clock(3723)
    ('0:05', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


_REDRAW_INTERVAL = 0.1
"""Minimum seconds between redraws of the bar."""
_WIDTH = 24


class TextProgress(Progress):
    """A plain-text bar, redrawn on one line, with log lines above it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._label, self._note = "", ""
        self._total: int | None = None
        self._done, self._length = 0, 0
        self._began = self._drawn = 0.0

    def log(self, message: str) -> None:
        """Print one line."""
        self._write("")
        self._stream.write(f"{replace_unprintable(message)}\n")
        self._draw()

    def start(self, label: str, total: int | None = None) -> None:
        """Start a bar."""
        self.stop()
        self._label, self._total, self._done, self._note = label, total, 0, ""
        self._began = monotonic()
        self._draw()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Advance the bar."""
        self._done += count
        self._note = note or self._note
        if self._label and monotonic() - self._drawn >= _REDRAW_INTERVAL:
            self._draw()

    def stop(self) -> None:
        """Draw the bar for the last time, and end its line."""
        if self._label:
            self._draw()
            self._stream.write("\n")
            self._stream.flush()
        self._label, self._length = "", 0

    def _draw(self) -> None:
        if not self._label:
            self._stream.flush()
            return
        self._drawn = monotonic()
        parts = [replace_unprintable(self._label), clock(self._drawn - self._began), replace_unprintable(self._note)]
        if self._total:
            share = min(1.0, self._done / self._total)
            bar = ("#" * round(share * _WIDTH)).ljust(_WIDTH, ".")
            parts[1:1] = [f"[{bar}] {share:4.0%} {self._done:,}/{self._total:,}"]
        elif self._done:
            parts[1:1] = [f"{self._done:,}"]
        self._write(" ".join(filter(None, parts))[: get_terminal_size().columns - 1])

    def _write(self, line: str) -> None:
        """Overwrite the current line, without escape codes, which a notebook would show."""
        self._stream.write(f"\r{line.ljust(self._length)}" + ("" if line else "\r"))
        self._length = len(line)
        self._stream.flush()


def progress_of(given: Progress | bool | None) -> Progress:
    """Return the callback for a call from Python.

    None shows a bar in a notebook (on stdout) and if stderr is a terminal, and is silent otherwise; True always shows
    one, False never does.
    """
    if isinstance(given, Progress):
        return given
    if given is False:
        return SILENT
    if _in_notebook():
        return TextProgress(sys.stdout)
    return TextProgress(sys.stderr) if given or (sys.stderr is not None and sys.stderr.isatty()) else SILENT


def _in_notebook() -> bool:
    """Return whether this runs in a Jupyter kernel, without importing IPython."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return type(shell).__name__ == "ZMQInteractiveShell"
