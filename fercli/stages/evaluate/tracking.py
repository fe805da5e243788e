"""Tracking an evaluation: its metrics and pictures go to the tracked run of the training."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from fercli.artifacts import Artifact, is_artifact, open_artifact
from fercli.errors import UsageError
from fercli.models.checkpoints import Checkpoint
from fercli.runs import display_path, is_run_checkpoint
from fercli.trackers.table import Target
from fercli.trackers.tracking import Tracking, describe_run, pictures_of, read_positions

METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "n")


def find_tracked_run(targets: Sequence[Target], checkpoint: Checkpoint) -> Artifact:
    """Return the run of a checkpoint, if all trackers know it.

    Raises:
        UsageError: the checkpoint is in no run, or its training was not tracked.
    """
    folder = checkpoint.path.parent
    if not (checkpoint.path.is_dir() and is_run_checkpoint(checkpoint.path) and is_artifact(folder)):
        raise UsageError(f"track: {display_path(checkpoint.path)} is not a run, whose training trackers could know")
    known = read_positions(folder)
    for target in targets:
        if target.name not in known:
            name = display_path(checkpoint.path)
            raise UsageError(f"track: {name} was not trained with --track {target.name}; leave it out")
    return open_artifact(folder, "run")


def track_evaluation(tracking: Tracking, run: Artifact, pack: Artifact, evaluation: Artifact) -> None:
    """Add an evaluation's metrics and pictures to the tracked run.

    They are named after what was evaluated (`test_accuracy`), not after the evaluation, so that runs can be compared.
    """
    inputs = [
        item.model_copy(update={"path": os.path.normpath(run.path.resolve() / item.path)})
        for item in run.manifest.inputs
    ]
    tracking.begin(run.path, describe_run(run.path.resolve().name, run.manifest.options, inputs), complete=True)
    prefix = _prefix(run, pack, evaluation)
    summary = evaluation.summary
    metrics = {f"{prefix}_{name}": float(summary[name]) for name in METRICS if summary.get(name) is not None}
    pictures = {f"{prefix}/{name}": png for name, png in pictures_of(evaluation).items()}
    tracking.log_results(metrics, pictures, {})


def _prefix(run: Artifact, pack: Artifact, evaluation: Artifact) -> str:
    """Return what was evaluated: pack if not the run's own, split, checkpoint if not the best, views."""
    own = pack.manifest.digest in [item.digest for item in run.manifest.inputs]
    part = Path(next(item.path for item in evaluation.manifest.inputs if item.kind == "checkpoint")).name
    tta = str(evaluation.summary["tta"])
    words = [
        "" if own else pack.path.resolve().name,
        str(evaluation.summary["split"]),
        "" if part == "best" else part,
        "" if tta == "none" else tta,
    ]
    return re.sub(r"[^\w.-]", "_", "_".join(filter(None, words)), flags=re.ASCII)
