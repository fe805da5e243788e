"""What a run contains and reports, and the names of its checkpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from fercli.artifacts.summary import Summary


class ValidationFigures(Summary):
    """The best epoch's figures on the validation split: ratios in 0..1, the interval [low, high] at 95 %."""

    n: int
    accuracy: float
    accuracy_interval: list[float]
    macro_f1: float
    averaged_over: int
    loss: float


class RunSummary(Summary):
    """What `fer train --json` prints; `seconds` are those of training alone, in all calls of a run that was resumed.

    `weights` says what was loaded, and is empty where training started from nothing.
    """

    model: str
    parameters: int
    epochs: int
    best_epoch: int
    selection: str
    validation: ValidationFigures
    images_per_second: float
    seconds: float
    precision: str
    targets: Literal["labels", "votes"]
    weights: dict[str, Any]
    snapshots: list[str]


def snapshot_name(epoch: int) -> str:
    """Return the name of a snapshot's checkpoint within its run."""
    return f"snapshot-{epoch:03d}"


def is_run_checkpoint(checkpoint: Path) -> bool:
    """Return whether a checkpoint has a name used within runs: best, last or a snapshot."""
    return re.fullmatch(r"best|last|snapshot-\d{3,}", checkpoint.name) is not None


def display_path(checkpoint: Path) -> Path:
    """Return the path to show for a checkpoint: that of its run, if it is part of one."""
    return checkpoint.parent if is_run_checkpoint(checkpoint) else checkpoint
