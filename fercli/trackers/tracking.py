"""Tracking a training: every epoch once, whatever happens to the training or to a tracker.

A tracker that fails is dropped with one warning. What each one knows is kept in the run, `tracking.json`, so that a
resumed training continues the same runs, and an evaluation finds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from fercli._version import __version__
from fercli.artifacts import Artifact, Input, open_artifact, write_text
from fercli.artifacts.lineage import lineage_of
from fercli.errors import FerError, UsageError, one_line, shorten
from fercli.progress import SILENT, Progress
from fercli.sanitize import hide_passwords
from fercli.trackers.base import Position, Status, TrackedRun, Tracker
from fercli.trackers.table import Target, create_tracker

FILE = "tracking.json"


@dataclass
class _Tracked:
    """A tracker in use, and how far it has come."""

    name: str
    tracker: Tracker
    position: Position = field(default_factory=lambda: Position(""))


class Tracking:
    """The trackers of one run. As a context it ends them, as interrupted or failed if the block raises.

    Args:
        targets: The trackers and their destinations.
        progress: Receives warnings.

    Raises:
        UsageError: a destination is of the wrong kind.
        FerError: a tracker's library is not installed.
    """

    def __init__(self, targets: Sequence[Target], progress: Progress = SILENT) -> None:
        self._tracked = [_Tracked(target.name, create_tracker(target)) for target in targets]
        self._progress = progress
        self._folder: Path | None = None
        self._complete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._folder is not None:
            # An error is a failed run; an interruption is one to resume.
            status: Status = (
                "finished" if error is None else "failed" if isinstance(error, Exception) else "interrupted"
            )
            self._each(lambda one: one.tracker.end(status))

    def begin(self, folder: Path, run: TrackedRun, *, complete: bool = False) -> None:
        """Create the trackers' runs, or continue those that the run's `tracking.json` names.

        Args:
            folder: The run's folder.
            run: What the trackers are told.
            complete: Whether the run is published, and so must not be changed.
        """
        known = read_positions(folder)
        self._folder, self._complete = folder, complete

        def begin(one: _Tracked) -> None:
            one.position = one.tracker.begin(run, known.get(one.name))

        self._each(begin)
        self._note()

    def log_epoch(self, metrics: Mapping[str, float]) -> None:
        """Record an epoch, with the trackers that do not know it yet."""
        epoch = int(metrics["epoch"])
        own = {name: float(value) for name, value in metrics.items() if name != "epoch"}

        def log(one: _Tracked) -> None:
            if epoch > one.position.epoch:
                one.tracker.log_epoch(epoch, own)
                one.position = Position(one.position.id, epoch)

        self._each(log)
        self._note()

    def log_results(
        self,
        metrics: Mapping[str, float],
        pictures: Mapping[str, bytes],
        texts: Mapping[str, str],
    ) -> None:
        """Record final metrics, pictures (PNG) and texts (Markdown)."""

        def log(one: _Tracked) -> None:
            one.tracker.log_summary(metrics)
            for name, png in pictures.items():
                one.tracker.log_picture(name, png)
            for name, text in texts.items():
                one.tracker.log_text(name, without_home(text))

        self._each(log)

    def _each(self, action: Callable[[_Tracked], None]) -> None:
        """Call each tracker; do without those that fail, after a warning."""
        for one in list(self._tracked):
            try:
                action(one)
            except Exception as error:  # a library of others, a server, a disk
                self._tracked.remove(one)
                reason = shorten(hide_passwords(one_line(f"{type(error).__name__}: {error}")), 300)
                self._progress.log(f"--track {one.name}: failed, and gets nothing more of this run ({reason})")

    def _note(self) -> None:
        """Note in the run what each tracker knows, beside what those of earlier calls do."""
        if self._folder is None or self._complete or not self._tracked:
            return
        known = read_positions(self._folder) | {one.name: one.position for one in self._tracked}
        text = json.dumps({name: asdict(position) for name, position in known.items()}, indent=1)
        with suppress(OSError):  # if the disk is full the training says so itself
            write_text(self._folder / FILE, f"{text}\n")


def read_positions(folder: Path) -> dict[str, Position]:
    """Return what `tracking.json` of a run says; empty if it is missing or damaged."""
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
        return {str(name): Position(str(one["id"]), int(one["epoch"])) for name, one in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def describe_run(name: str, options: Mapping[str, Any], inputs: Sequence[Input]) -> TrackedRun:
    """Return what trackers are told about a run: options, digests and lineage, with names but no paths."""
    config = {f"input.{item.name}": f"{Path(item.path).name} {item.digest[:12]}" for item in inputs}
    config |= {"fercli": __version__}
    lines = []
    for item in inputs:
        lines.append(f"- {item.kind} {Path(item.path).name}, `{item.digest[:12]}`")
        try:
            above = lineage_of([open_artifact(Path(item.path))])
        except FerError:  # not an artifact, such as a file of weights
            continue
        for one in above:
            lines.append(f"{'  ' * one.depth}- {one.kind} {one.name}, `{one.input.digest[:12]}`")
    return TrackedRun(name, {**flatten(options), **config}, "\n".join(lines) + "\n")


def flatten(options: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Return nested options as one level of names with dots; options that are not set are left out.

    >>> flatten({"lr": 0.1, "phase": [{"epochs": 2}], "weights": None})
    {'lr': 0.1, 'phase.1.epochs': 2}
    """
    found: dict[str, str | int | float | bool] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
            found |= flatten({str(n): one for n, one in enumerate(value, 1)}, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            found[f"{prefix}{name}"] = ", ".join(map(str, value))
        elif value is not None:
            found[f"{prefix}{name}"] = value if isinstance(value, bool | int | float) else without_home(str(value))
    return found


def without_home(text: str) -> str:
    """Return a text with the path of the home folder written as `~`."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def check_outside(targets: Sequence[Target], out: Path) -> None:
    """Check that no tracker writes into the run, which is complete once it is published.

    Raises:
        UsageError: one does.
    """
    for target in targets:
        path = (target.where or "").removeprefix("sqlite:///")
        if path and "://" not in path and Path(path).expanduser().resolve().is_relative_to(out.resolve()):
            raise UsageError(f"track: {target.name} would write into the run, {out}; choose a folder beside it")


def pictures_of(artifact: Artifact) -> dict[str, bytes]:
    """Return the pictures of an artifact, by name."""
    return {file.stem: file.read_bytes() for file in sorted(artifact.path.glob("*.png"))}
