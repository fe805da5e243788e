"""Listeners to a stage on stderr: a bar on a terminal, lines otherwise."""

from __future__ import annotations

from collections.abc import Iterator
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

__all__ = ["figures", "listening"]

_EVERY = 30.0
"""Seconds between two lines of a task that is long, where there is no terminal."""
_PERIOD = 30.0
"""Seconds over which the speed is averaged."""


@contextmanager
def listening(console: Console, stage: str) -> Iterator[Progress]:
    """Listen to a stage: by a bar where the console is a terminal, by lines otherwise."""
    listener = _BarProgress(console, stage) if console.is_terminal else _LineProgress(console)
    try:
        yield listener
    finally:
        listener.close()


class _LineProgress(Progress):
    """For a stderr that is no terminal: log lines, and now and then how far a long task is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._label, self._done = "", 0
        self._total: int | None = None
        self._began = self._last = 0.0

    def log(self, message: str) -> None:
        self._console.print(escape(one_line(message)), soft_wrap=True)

    def start(self, label: str, total: int | None = None) -> None:
        self._label, self._total, self._done = label, total or None, 0
        self._began = self._last = monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        now = monotonic()
        if self._label and now - self._last >= _EVERY:
            self._last = now
            self.log(" ".join(part for part in (self._label, *self._parts(now - self._began), note) if part))

    def stop(self) -> None:
        self._label = ""

    def close(self) -> None:
        """End: nothing is shown any more."""

    def _parts(self, elapsed: float) -> list[str]:
        speed = self._done / elapsed if elapsed > 0 else 0.0
        left = (self._total - self._done) / speed if self._total and speed else None
        return [part for part in figures(self._done, self._total, speed, elapsed, left) if part]


class _BarProgress(_LineProgress):
    """A bar with share, count, speed and time left, log lines above it; between two tasks the stage's name.

    Args:
        console: On stderr.
        stage: What stands before the bar while no task runs.
    """

    def __init__(self, console: Console, stage: str) -> None:
        super().__init__(console)
        self._stage = stage
        self._bar = Bar(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),
            _Figures(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            expand=True,
            speed_estimate_period=_PERIOD,
        )
        self._task = self._added(stage, None)
        self._bar.start()

    def start(self, label: str, total: int | None = None) -> None:
        self._begin(label, total or None)

    def advance(self, count: int = 1, note: str = "") -> None:
        fields: dict[str, str] = {"note": escape(one_line(note))} if note else {}
        self._bar.update(self._task, advance=count, **fields)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._begin(self._stage, None)

    def close(self) -> None:
        self._bar.stop()

    def _begin(self, label: str, total: int | None) -> None:
        old, self._task = self._task, self._added(label, total)
        self._bar.remove_task(old)

    def _added(self, label: str, total: int | None) -> TaskID:
        return self._bar.add_task(escape(one_line(label)), total=total, note="")


class _Figures(ProgressColumn):
    """Share, count, speed and time of a task."""

    def render(self, task: Task) -> Text:
        shown = figures(task.completed, task.total, task.speed or 0.0, task.elapsed or 0.0, task.time_remaining)
        return Text("  ".join(part for part in shown if part))


def figures(done: float, total: float | None, speed: float, elapsed: float, left: float | None) -> tuple[str, ...]:
    """Return what is shown beside a label: share, count, speed, and the time left or, where it is not known, taken."""
    share = f"{done / total:.0%}" if total else ""
    count = f"{_number(done)}/{_number(total)}" if total else _number(done) if done else ""
    rate = f"{_number(speed) if speed >= 10 else f'{speed:.1f}'}/s" if speed and done else ""
    time = f"{clock(left)} left" if left is not None and total else clock(elapsed)
    return share, count, rate, time


def _number(value: float) -> str:
    return f"{value / 1e6:,.1f}M" if value >= 10_000_000 else f"{value:,.0f}"
