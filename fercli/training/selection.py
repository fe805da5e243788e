"""Which epoch is the best, when a stage has waited long enough for a better one, and which epochs are snapshots."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from fercli.training.loop import Figures, Trainer


def best_epoch(history: Sequence[Figures], select: str) -> int:
    """Return the best epoch, from 1, by a validation figure: accuracy, macro_f1 or loss; of equal ones the first."""
    sign = -1.0 if select == "loss" else 1.0
    return int(np.argmax([sign * figures[f"validation_{select}"] for figures in history])) + 1


def stalled(trainer: Trainer, select: str) -> bool:
    """Tell whether the stage has gone as many epochs as its patience without a better one of its own."""
    own = trainer.history[trainer.phase_start :]
    patience = trainer.settings.patience
    return bool(patience and own and len(own) - best_epoch(own, select) >= patience)


def snapshot_due(trainer: Trainer, epochs: Collection[int] | None) -> bool:
    """Tell whether the last epoch is one to keep: named by number, or the end of a cycle."""
    if epochs is None:
        return trainer.epoch - trainer.phase_start in trainer.settings.cycle_ends()
    return trainer.epoch in epochs
