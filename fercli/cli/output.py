"""What `fer` prints: results on stdout, progress and logs on stderr, one JSON object with --json."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fercli.errors import FerError, one_line
from fercli.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from fercli.artifacts import Artifact

UNCUT = 100_000
"""Columns of a screen that is none."""


class Output:
    """One call's sink.

    Args:
        json: Print one JSON object on stdout and nothing else there.
        quiet: No progress, no log.
    """

    def __init__(self, json: bool = False, quiet: bool = False) -> None:
        self.as_json = json
        self._quiet = quiet
        self._out = Console(highlight=False)
        if not self._out.is_terminal:  # what another program reads is neither cut nor wrapped
            self._out.width = UNCUT
        self._err = Console(stderr=True, highlight=False)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Listen to a stage: a bar where stderr is a terminal, lines otherwise, nothing with --quiet."""
        if self._quiet:
            yield SILENT
            return
        with_bar = self._err.is_terminal
        listener = _BarProgress(self._err) if with_bar else _LineProgress(self._err)
        try:
            yield listener
        finally:
            listener.stop()

    def artifact(self, artifact: Artifact, show: Callable[[Artifact], Any]) -> None:
        """Print a stage's result."""
        if self.as_json:
            self.json(artifact.summary)
            return
        if artifact.up_to_date:
            self._out.print(f"[green]up to date[/green] {name(artifact.path)}", soft_wrap=True)
        for part in show(artifact):
            self._out.print(part)
        if not artifact.up_to_date:
            self._out.print(f"[green]{artifact.manifest.kind}[/green] {name(artifact.path)}", soft_wrap=True)

    def json(self, value: Any) -> None:
        """Print one JSON object."""
        sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")

    def print(self, *parts: Any) -> None:
        """Print renderables on stdout."""
        for part in parts:
            self._out.print(part)


@contextmanager
def guarded(debug: bool, stage: str) -> Iterator[None]:
    """Turn what goes wrong into one line on stderr and an exit code."""
    try:
        yield
    except FerError as error:
        if debug:
            raise
        # A wrong option's message begins with the stage, for those who call the library.
        message = str(error).removeprefix(f"{stage}: ")
        _tell(f"fer {stage}: {message}")
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        _tell(f"fer {stage}: interrupted; call again with the same options (a long stage goes on where it was)")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise typer.Exit(1) from None
    except Exception as error:
        if debug:
            raise
        kind = type(error).__name__
        _tell(f"fer {stage}: unexpected {kind}: {error}; call again with --debug and report what it says")
        raise typer.Exit(1) from None


def _tell(message: str) -> None:
    sys.stderr.write(one_line(message) + "\n")


def name(path: Any) -> str:
    """Return a path as a person sees it: printable, its square brackets no markup."""
    return escape(one_line(str(path)))


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table in the house style: first column left, others right."""
    made = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", header_style="dim")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right")
    return made


def counts_table(counts: dict[str, dict[str, int]]) -> Table:
    """Return the images by emotion (rows) and split (columns), with sums."""
    made = table("emotion", *counts, *(["all"] if len(counts) > 1 else []))
    emotions = list(dict.fromkeys(e for by_emotion in counts.values() for e in by_emotion))
    for emotion in emotions:
        cells = [by_emotion.get(emotion, 0) for by_emotion in counts.values()]
        made.add_row(name(emotion), *_numbers(cells))
    made.add_row("all", *_numbers([sum(by_emotion.values()) for by_emotion in counts.values()]), style="bold")
    return made


def _numbers(cells: list[int]) -> list[str]:
    return [f"{cell:,}" for cell in (cells if len(cells) == 1 else [*cells, sum(cells)])]


class _LineProgress(Progress):
    """For a stderr that is no terminal: log lines alone."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def log(self, message: str) -> None:
        self._console.print(escape(one_line(message)), soft_wrap=True)


class _BarProgress(_LineProgress):
    """A bar with rate and time left, log lines above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar: Bar | None = None

    def start(self, label: str, total: int | None = None) -> None:
        from rich import progress

        self.stop()
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=None),
            progress.TaskProgressColumn(show_speed=True),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(compact=True),
            progress.TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=True,
            speed_estimate_period=30,
        )
        self._bar.add_task(label, total=total, note="", rate="")
        self._bar.start()

    def advance(self, count: int = 1, note: str = "") -> None:
        if self._bar is None:
            return
        task = self._bar.tasks[0]
        fields: dict[str, str] = {"note": escape(one_line(note))} if note else {}
        if task.speed:
            fields["rate"] = f"{task.speed:,.0f}/s"
        self._bar.update(task.id, advance=count, **fields)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
