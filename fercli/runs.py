"""What a run contains and reports, and the names of its checkpoints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from fercli.artifacts import is_artifact, open_artifact
from fercli.artifacts.summary import Summary
from fercli.errors import one_line
from fercli.hub.address import cached_address
from fercli.pretrained import is_pretrained


class AffectMetrics(Summary):
    """Metrics of valence and arousal over the `n` faces that have them: concordance (CCC), root mean squared error."""

    n: int
    valence_ccc: float
    valence_rmse: float
    arousal_ccc: float
    arousal_rmse: float


class ValidationMetrics(Summary):
    """Metrics of the best epoch on the validation split: ratios in 0..1, the interval [low, high] at 95 %.

    `affect` is None unless the run is trained on valence and arousal too.
    """

    n: int
    accuracy: float
    accuracy_interval: list[float]
    macro_f1: float
    averaged_over: int
    loss: float
    affect: AffectMetrics | None = None


class RunSummary(Summary):
    """What `fer train --json` prints; `seconds` is the training time over all calls of a resumed run.

    `weights` lists the pretrained weights that were loaded; it is empty if training started from random weights. The
    last three are only set on several devices or with accumulated gradients; `batch_norm` says whether the statistics
    of batch norm are those of the whole batch, or of the part of it that a device processes at a time.
    """

    model: str
    parameters: int
    epochs: int
    best_epoch: int
    selection: str
    validation: ValidationMetrics
    images_per_second: float
    seconds: float
    precision: str
    targets: Literal["labels", "votes"]
    weights: dict[str, Any]
    snapshots: list[str]
    devices: int = 1
    accumulate: int = 1
    batch_norm: Literal["whole batch", "parts"] | None = None


FOLD_RUNS = "runs"
"""Folder of the folds' runs within a cross-validation."""


def snapshot_name(epoch: int) -> str:
    """Return the name of a snapshot's checkpoint within its run."""
    return f"snapshot-{epoch:03d}"


def with_fold_runs(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return runs, each cross-validation replaced by the runs of its folds.

    Args:
        paths: Runs, checkpoints and cross-validations; others are returned as they are.
    """
    found: list[Path] = []
    for path in paths:
        folds = is_artifact(path) and open_artifact(path).manifest.kind == "crossvalidation"
        found += sorted(run for run in (path / FOLD_RUNS).glob("r*-f*") if is_artifact(run)) if folds else [path]
    return tuple(found)


def is_run_checkpoint(checkpoint: Path) -> bool:
    """Return whether a checkpoint has a name used within runs: best, last or a snapshot."""
    return re.fullmatch(r"best|last|snapshot-\d{3,}", checkpoint.name) is not None


def display_path(checkpoint: Path) -> Path:
    """Return the path to show for a checkpoint: its run's, if it has one.

    For a model of fercli's own it is the name, for one from the hub OWNER/NAME@ and the start of the commit.
    """
    if (address := cached_address(checkpoint)) is not None:
        return Path(address.short)
    if is_pretrained(checkpoint):
        return Path(checkpoint.name)
    return checkpoint.parent if is_run_checkpoint(checkpoint) else checkpoint


def model_name(checkpoint: Path) -> str:
    """Return how a model is called where its folder is not known, in one line: `run`, or `run/last`.

    A run's name alone stands for its best checkpoint; a model from the hub has its address.
    """
    if (address := cached_address(checkpoint)) is not None:
        return str(address)
    shown = Path(os.path.abspath(display_path(checkpoint)))
    inside = is_run_checkpoint(checkpoint) and checkpoint.name != "best"
    return one_line(f"{shown.name}/{checkpoint.name}" if inside else shown.name)
