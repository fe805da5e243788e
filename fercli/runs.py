"""The checkpoints of a run and their names."""

from __future__ import annotations

import re
from pathlib import Path


def snapshot_name(epoch: int) -> str:
    """Return the name of a snapshot's checkpoint within its run."""
    return f"snapshot-{epoch:03d}"


def is_run_checkpoint(checkpoint: Path) -> bool:
    """Return whether a checkpoint has a name used within runs: best, last or a snapshot."""
    return re.fullmatch(r"best|last|snapshot-\d{3,}", checkpoint.name) is not None


def display_path(checkpoint: Path) -> Path:
    """Return the path to show for a checkpoint: that of its run, if it is part of one."""
    return checkpoint.parent if is_run_checkpoint(checkpoint) else checkpoint
