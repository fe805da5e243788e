"""What a run holds, and how its checkpoints are called."""

from __future__ import annotations

import re
from pathlib import Path


def snapshot_name(epoch: int) -> str:
    """Return what the checkpoint of a snapshot is called in its run, beside best and last."""
    return f"snapshot-{epoch:03d}"


def is_run_checkpoint(checkpoint: Path) -> bool:
    """Tell by its name whether a checkpoint stands in a run: best, last, or a snapshot."""
    return re.fullmatch(r"best|last|snapshot-\d{3,}", checkpoint.name) is not None


def display_path(checkpoint: Path) -> Path:
    """Return the path by which people know a checkpoint: its run's, where it stands in one."""
    return checkpoint.parent if is_run_checkpoint(checkpoint) else checkpoint
