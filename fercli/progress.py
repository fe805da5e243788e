"""How a long stage tells what it is doing, without knowing who listens.

The library never prints. A stage takes a `Progress`; the default is silent, the command line hands in one that draws
on stderr.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """A listener. This one keeps silent; the command line's draws.

    `log` is for a line a person should keep (what was taken, what was skipped), `start`/`advance`/`stop` for a task
    that moves.
    """

    def log(self, message: str) -> None:
        """Take one line."""

    def start(self, label: str, total: int | None = None) -> None:
        """Begin a task of `total` units (None: not known); one task runs at a time."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Move the task on by `count` units; `note` stands beside the bar."""

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
    """Return a time as people read it: `0:05`, `12:34`, `1:02:03`.

    >>> clock(5.2), clock(3723)
    ('0:05', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
