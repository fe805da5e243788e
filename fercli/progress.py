"""Progress reporting.

The library never prints. A stage takes a `Progress`; the default is silent, and the command line passes one that writes
to stderr.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """Progress callback. This base class is silent.

    `log` is for lines worth keeping (which input was chosen, what was skipped); `start`, `advance` and `stop` report on
    a running task.
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
        """Run the block as a task of `total` units (None: not known), which ends however the block does."""
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
