"""Progress on stderr: a bar on a terminal, lines otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from fercli.errors import one_line
from fercli.progress import Progress, clock

__all__ = ["RateMeter", "console_progress"]

LOG_INTERVAL = 30.0
"""Seconds between progress lines without a terminal."""
_SPEED_WINDOW = 30.0
"""Seconds over which the speed is averaged."""
_SAMPLE_INTERVAL = 1.0
"""Seconds between samples of the speed, and before it is first shown."""
_MIN_NOTE_WIDTH = 70
"""Minimum terminal width for showing a note next to the bar."""
_RESUME_WINDOW = 0.1
"""Seconds after the start within which progress counts as resumed work."""


@contextmanager
def console_progress(console: Console, stage: str) -> Iterator[Progress]:
    """Show the progress of a stage: by a bar if the console is a terminal, else by lines."""
    progress = BarProgress(console, stage) if console.is_terminal else LineProgress(console)
    try:
        yield progress
    finally:
        progress.close()


class RateMeter:
    """Progress and speed of a task, averaged over the last half minute, since work often comes in bursts.

    Args:
        total: Number of units; None if unknown.
        clock: Returns the time in seconds.
    """

    def __init__(self, total: int | None, clock: Callable[[], float] = monotonic) -> None:
        self.total, self.done = total or None, 0
        self._clock = clock
        self._began = clock()
        self._seen: deque[tuple[float, int]] = deque([(self._began, 0)])

    def advance(self, count: int) -> None:
        """Advance by `count` units."""
        now = self._clock()
        self.done += count
        if now - self._began < _RESUME_WINDOW:  # done by an interrupted call
            self._seen[0] = self._began, self.done
        elif now - self._seen[-1][0] >= _SAMPLE_INTERVAL:
            self._seen.append((now, self.done))
            while len(self._seen) > 2 and now - self._seen[1][0] >= _SPEED_WINDOW:
                self._seen.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    @property
    def speed(self) -> float | None:
        """Units per second; None at the start."""
        since, before = self._seen[0]
        span = self._clock() - since
        return (self.done - before) / span if span >= _SAMPLE_INTERVAL and self.done > before else None

    @property
    def left(self) -> float | None:
        """Estimated seconds left; None if unknown."""
        return (self.total - self.done) / self.speed if self.total and self.speed else None

    def stats(self) -> list[str]:
        """Return the texts to show: percentage, count, speed, and the time left or, if unknown, elapsed."""
        share = [f"{min(1, self.done / self.total):.0%}"] if self.total else []
        count = [f"{_format_number(self.done)}/{_format_number(self.total)}"] if self.total else []
        if not self.total and self.done:
            count = [_format_number(self.done)]
        rate = [f"{_format_number(self.speed) if self.speed >= 10 else f'{self.speed:.1f}'}/s"] if self.speed else []
        left = self.left
        return [*share, *count, *rate, clock(self.elapsed) if left is None else f"{clock(left)} left"]


class LineProgress(Progress):
    """Progress without a terminal: log lines, and periodic progress lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._label = ""
        self._pace = RateMeter(None)
        self._last_logged = 0.0

    def log(self, message: str) -> None:
        self._console.print(escape(one_line(message)), soft_wrap=True)

    def start(self, label: str, total: int | None = None) -> None:
        self._label, self._pace, self._last_logged = label, RateMeter(total), 0.0

    def advance(self, count: int = 1, note: str = "") -> None:
        self._pace.advance(count)
        if self._label and self._pace.elapsed - self._last_logged >= LOG_INTERVAL:
            self._last_logged = self._pace.elapsed
            self.log(f"{self._label}: {', '.join(filter(None, [*self._pace.stats(), note]))}")

    def stop(self) -> None:
        self._label = ""

    def close(self) -> None:
        """Stop showing progress."""


class BarProgress(LineProgress):
    """A bar with percentage, count, speed and time left, and log lines above it.

    Args:
        console: A console on stderr.
        stage: The label of the bar while no task runs.
    """

    def __init__(self, console: Console, stage: str) -> None:
        super().__init__(console)
        self._stage = stage
        self.bar = Bar(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),
            _StatsColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            expand=True,
        )
        self._task = self._add_task(f"{stage}: loading", None)
        self.bar.start()

    def start(self, label: str, total: int | None = None) -> None:
        self._begin(label, total)

    def advance(self, count: int = 1, note: str = "") -> None:
        self._pace.advance(count)
        fields: dict[str, str] = (
            {"note": escape(one_line(note))} if note and self._console.width >= _MIN_NOTE_WIDTH else {}
        )
        self.bar.update(self._task, advance=count, **fields)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._begin(self._stage, None)

    def close(self) -> None:
        self.bar.stop()

    def _begin(self, label: str, total: int | None) -> None:
        self._pace = RateMeter(total)
        old, self._task = self._task, self._add_task(label, total)
        self.bar.remove_task(old)

    def _add_task(self, label: str, total: int | None) -> TaskID:
        return self.bar.add_task(escape(one_line(label)), total=total or None, note="", pace=self._pace)


class _StatsColumn(ProgressColumn):
    """Percentage, count, speed and time of a task."""

    def render(self, task: Task) -> Text:
        return Text("  ".join(task.fields["pace"].stats()))


def _format_number(value: float) -> str:
    return f"{value / 1e6:,.1f}M" if value >= 10_000_000 else f"{value:,.0f}"
