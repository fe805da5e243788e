"""What a tracker does, and what it is told about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["finished", "interrupted", "failed"]
PROJECT = "fercli"
"""MLflow's experiment and Weights & Biases' project, unless their own environment variables name another."""


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers are told about it.

    Attributes:
        name: Its name.
        config: Its options and the digests of its inputs, flattened.
        lineage: Its inputs back to the photographs, in Markdown.
    """

    name: str
    config: Mapping[str, str | int | float | bool]
    lineage: str


@dataclass(frozen=True)
class Position:
    """How far a tracker has come with a run.

    Attributes:
        id: The tracker's own name of the run.
        epoch: The last epoch that it knows.
    """

    id: str
    epoch: int = 0


class Tracker(Protocol):
    """One tracker, for one run at a time. Any method may raise: `Tracking` catches it."""

    def begin(self, run: TrackedRun, position: Position | None) -> Position:
        """Create a run, or continue one.

        Args:
            run: The run.
            position: Where an earlier call ended; None for a new run.

        Returns:
            Where it continues. The tracker's own record takes precedence over the given epoch, where it can be read.
        """

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record the metrics of an epoch; they must be stored when this returns, as far as the library allows."""

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        """Record metrics of the run as a whole."""

    def log_picture(self, name: str, png: bytes) -> None:
        """Record a picture under a name such as `evaluation/confusion`."""

    def log_text(self, name: str, markdown: str) -> None:
        """Record a text in Markdown."""

    def end(self, status: Status) -> None:
        """End the run, and mark how."""
