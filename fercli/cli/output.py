"""Output of `fer`: results on stdout, progress and logs on stderr, one JSON object with --json."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fercli.cli import interrupts
from fercli.cli.failures import CALL, INTERRUPTED, report, report_object
from fercli.errors import FerError, one_line
from fercli.progress import SILENT, Progress, clock
from fercli.registry import raised_in_plugin

if TYPE_CHECKING:
    from fercli.artifacts import Artifact

UNLIMITED_WIDTH = 100_000
"""Width of output that is not a terminal."""


class Output:
    """The output of one call.

    Args:
        json: Print a single JSON object on stdout.
        quiet: Print no progress and no logs, and only the path of the result.
    """

    def __init__(self, json: bool = False, quiet: bool = False) -> None:
        self.as_json = json
        self.quiet = quiet
        self._out = Console(highlight=False)
        # Do not truncate or wrap output for other programs, unless COLUMNS is set.
        if not self._out.is_terminal and "COLUMNS" not in os.environ:
            self._out.width = UNLIMITED_WIDTH
        self._err = Console(stderr=True, highlight=False)
        self._began = perf_counter()

    @contextmanager
    def progress(self, stage: str) -> Iterator[Progress]:
        """Show the progress of a stage: a bar if stderr is a terminal, else lines; nothing with --quiet."""
        if self.quiet:
            yield SILENT
            return
        from fercli.cli.progress_bar import console_progress

        with console_progress(self._err, stage) as progress:
            yield progress

    def artifact(self, artifact: Artifact, show: Callable[[Artifact], Any]) -> None:
        """Print a stage's result, and on stderr its duration and the usual next command."""
        seconds = perf_counter() - self._began
        if self.as_json:
            self.json(_object(artifact, seconds))
            return
        if artifact.up_to_date:
            self.path("up to date", artifact.path)
        if not self.quiet:
            self.print(*show(artifact))
        if not artifact.up_to_date:
            self.path(artifact.manifest.kind, artifact.path)
        if not self.quiet:
            sys.stdout.flush()
            self._end(artifact, seconds)

    def path(self, what: str, path: Path) -> None:
        """Print the path of a result, after its kind; with --quiet the bare path."""
        if not self.quiet:
            self._out.print(f"[green]{what}[/green] {name(path)}", soft_wrap=True)
        elif sys.stdout.isatty():
            sys.stdout.write(f"{one_line(str(path))}\n")
        else:  # for programs: the raw bytes
            sys.stdout.flush()
            sys.stdout.buffer.write(os.fsencode(path) + b"\n")

    def address(self, what: str, address: str) -> None:
        """Print a result that is not on this machine, after what was done; with --quiet the bare address."""
        if not self.quiet:
            self._out.print(f"[green]{what}[/green] {name(address)}", soft_wrap=True)
        else:
            sys.stdout.write(f"{address}\n")

    def json(self, value: Any) -> None:
        """Print one JSON object."""
        CALL.answered = True
        sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")

    @property
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return self._out.is_terminal

    def print(self, *parts: Any) -> None:
        """Print renderables on stdout; nothing with --quiet."""
        for part in () if self.quiet else parts:
            self._out.print(part)

    def _end(self, artifact: Artifact, seconds: float) -> None:
        """Log the duration and the usual next command."""
        from fercli.cli.steps import next_step

        took = [] if artifact.up_to_date else [f"took {seconds:.1f} s" if seconds < 60 else f"took {clock(seconds)}"]
        following = next_step(artifact)
        if parts := [*took, *([f"next: {following}"] if following else [])]:
            self._err.print(f"[dim]{escape('; '.join(parts))}[/dim]", soft_wrap=True)


def _object(artifact: Artifact, seconds: float) -> dict[str, Any]:
    """Return the JSON object of a stage's result: path, kind and time, then its summary."""
    summary = dict(artifact.manifest.summary)
    if "seconds" in summary:  # of a run: training time over all its calls
        summary["training_seconds"] = summary.pop("seconds")
    own = {"path": str(artifact.path), "kind": artifact.manifest.kind, "up_to_date": artifact.up_to_date}
    return {**own, "seconds": round(seconds, 3), **summary}


@contextmanager
def guarded(debug: bool, stage: str) -> Iterator[None]:
    """Turn errors into one line on stderr, with --json also an object on stdout, and an exit code."""
    CALL.command = stage
    try:
        yield
    except KeyboardInterrupt:
        raise _interrupted() from None
    except BrokenPipeError:
        if interrupts.interrupted():
            raise _interrupted() from None
        raise typer.Exit(1) from None
    except Exception as error:
        if isinstance(error, typer.Exit):
            raise
        if interrupts.interrupted():
            raise _interrupted() from None
        code, kind = getattr(error, "exit_code", 1), type(error).__name__
        # Messages about options begin with the stage, for callers of the library.
        message = str(error).removeprefix(f"{stage}: ")
        if not isinstance(error, FerError):
            where = raised_in_plugin(error)
            at = f"{kind} in the plugin {where}" if where else f"unexpected {kind}"
            message = f"{at}: {error}; please report it{' to its authors' if where else ''} with the output of --debug"
            code = 1
        if debug:
            report_object(message, kind, code)
            raise
        report(message, kind, code)
        raise typer.Exit(code) from None


def _interrupted() -> typer.Exit:
    """Report the interruption; return the exception that exits."""
    interrupts.mark_reported()
    report(INTERRUPTED, "Interrupted", interrupts.EXIT_CODE)
    return typer.Exit(interrupts.EXIT_CODE)


def name(path: Any) -> str:
    """Return text for rich: printable characters only, with markup escaped."""
    return escape(one_line(str(path)))


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table in fer's style: first column left-aligned, others right-aligned."""
    rows = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", header_style="dim")
    for number, column in enumerate(columns):
        rows.add_column(column, justify="left" if number == 0 else "right")
    return rows


def counts_table(counts: dict[str, dict[str, int]]) -> Table:
    """Return a table of images by emotion (rows) and split (columns), with sums."""
    rows = table("emotion", *counts, *(["all"] if len(counts) > 1 else []))
    emotions = list(dict.fromkeys(e for by_emotion in counts.values() for e in by_emotion))
    for emotion in emotions:
        cells = [by_emotion.get(emotion, 0) for by_emotion in counts.values()]
        rows.add_row(name(emotion), *_numbers(cells))
    rows.add_row("all", *_numbers([sum(by_emotion.values()) for by_emotion in counts.values()]), style="bold")
    return rows


def _numbers(cells: list[int]) -> list[str]:
    return [f"{cell:,}" for cell in (cells if len(cells) == 1 else [*cells, sum(cells)])]
