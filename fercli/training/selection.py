"""Selection of the best epoch, early stopping, and snapshots."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from fercli.training.loop import Metrics, Trainer


def best_epoch(history: Sequence[Metrics], select: str) -> int:
    """Return the best epoch, from 1, by a validation metric: accuracy, macro_f1 or loss; of ties the first."""
    sign = -1.0 if select == "loss" else 1.0
    return int(np.argmax([sign * metrics[f"validation_{select}"] for metrics in history])) + 1


def stalled(trainer: Trainer, select: str) -> bool:
    """Return whether the phase has run as many epochs as its patience without improving on its own best."""
    history = trainer.history[trainer.phase_start :]
    patience = trainer.settings.patience
    return bool(patience and history and len(history) - best_epoch(history, select) >= patience)


def snapshot_due(trainer: Trainer, snapshots: Collection[int] | Literal["cycles"]) -> bool:
    """Return whether the last epoch is a snapshot: listed by number, or the end of a cycle of the schedule."""
    if snapshots == "cycles":
        return trainer.epoch - trainer.phase_start in trainer.settings.cycle_ends()
    return trainer.epoch in snapshots
