"""Listeners to a stage on stderr: a bar on a terminal, lines otherwise."""

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

_LOG_INTERVAL = 30.0
"""Seconds between two lines of a task that is long, where there is no terminal."""
_SPEED_WINDOW = 30.0
"""Seconds over which the speed is averaged."""
_SAMPLE_INTERVAL = 1.0
"""Seconds between what is remembered for that, and before a first speed is shown."""
_MIN_NOTE_WIDTH = 70
"""Columns from which a note stands beside the bar."""
_RESUME_WINDOW = 0.1
"""Seconds after a start within which what is done was done before."""


@contextmanager
def console_progress(console: Console, stage: str) -> Iterator[Progress]:
    """Listen to a stage: by a bar where the console is a terminal, by lines otherwise."""
    listener = _BarProgress(console, stage) if console.is_terminal else _LineProgress(console)
    try:
        yield listener
    finally:
        listener.close()


class RateMeter:
    """How far a task is, and how fast it goes: over the last half minute, since work often comes in bursts.

    Args:
        total: Units of the whole; None where it is not known.
        clock: The time, seconds.
    """

    def __init__(self, total: int | None, clock: Callable[[], float] = monotonic) -> None:
        self.total, self.done = total or None, 0
        self._clock = clock
        self._began = clock()
        self._seen: deque[tuple[float, int]] = deque([(self._began, 0)])

    def advance(self, count: int) -> None:
        """Move on by `count` units."""
        now = self._clock()
        self.done += count
        if now - self._began < _RESUME_WINDOW:  # what an interrupted call had done already
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
        """Units a second; None in the first seconds."""
        since, before = self._seen[0]
        span = self._clock() - since
        return (self.done - before) / span if span >= _SAMPLE_INTERVAL and self.done > before else None

    @property
    def left(self) -> float | None:
        """Seconds left, where that can be known."""
        return (self.total - self.done) / self.speed if self.total and self.speed else None

    def figures(self) -> list[str]:
        """Return what is shown: share, count, speed, and the time left or, where it is not known, taken."""
        share = [f"{min(1, self.done / self.total):.0%}"] if self.total else []
        count = [f"{_format_number(self.done)}/{_format_number(self.total)}"] if self.total else []
        if not self.total and self.done:
            count = [_format_number(self.done)]
        rate = [f"{_format_number(self.speed) if self.speed >= 10 else f'{self.speed:.1f}'}/s"] if self.speed else []
        left = self.left
        return [*share, *count, *rate, clock(self.elapsed) if left is None else f"{clock(left)} left"]


class _LineProgress(Progress):
    """For a stderr that is no terminal: log lines, and now and then how far a long task is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._label = ""
        self._pace = RateMeter(None)
        self._told = 0.0

    def log(self, message: str) -> None:
        self._console.print(escape(one_line(message)), soft_wrap=True)

    def start(self, label: str, total: int | None = None) -> None:
        self._label, self._pace, self._told = label, RateMeter(total), 0.0

    def advance(self, count: int = 1, note: str = "") -> None:
        self._pace.advance(count)
        if self._label and self._pace.elapsed - self._told >= _LOG_INTERVAL:
            self._told = self._pace.elapsed
            self.log(f"{self._label}: {', '.join(filter(None, [*self._pace.figures(), note]))}")

    def stop(self) -> None:
        self._label = ""

    def close(self) -> None:
        """End: nothing is shown any more."""


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
            _StatsColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            expand=True,
        )
        self._task = self._added(f"{stage}: loading", None)
        self._bar.start()

    def start(self, label: str, total: int | None = None) -> None:
        self._begin(label, total)

    def advance(self, count: int = 1, note: str = "") -> None:
        self._pace.advance(count)
        fields: dict[str, str] = (
            {"note": escape(one_line(note))} if note and self._console.width >= _MIN_NOTE_WIDTH else {}
        )
        self._bar.update(self._task, advance=count, **fields)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._begin(self._stage, None)

    def close(self) -> None:
        self._bar.stop()

    def _begin(self, label: str, total: int | None) -> None:
        self._pace = RateMeter(total)
        old, self._task = self._task, self._added(label, total)
        self._bar.remove_task(old)

    def _added(self, label: str, total: int | None) -> TaskID:
        return self._bar.add_task(escape(one_line(label)), total=total or None, note="", pace=self._pace)


class _StatsColumn(ProgressColumn):
    """Share, count, speed and time of a task."""

    def render(self, task: Task) -> Text:
        return Text("  ".join(task.fields["pace"].figures()))


def _format_number(value: float) -> str:
    return f"{value / 1e6:,.1f}M" if value >= 10_000_000 else f"{value:,.0f}"
