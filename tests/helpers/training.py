"""Short trainings on small packs."""

from __future__ import annotations

import csv
import itertools
import signal
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact
from fercli.progress import Progress
from fercli.stages.train.config import TrainConfig
from fercli.stages.train.stage import train
from fercli.training.loop import Trainer
from fercli.training.state import read_training_state, save_training_state
from tests.helpers.packs import QUICK
from tests.helpers.progress import Log


def go(pack: Artifact, out: Path, progress: Progress | None = None, **options: Any) -> Artifact:
    """Train the smallest model, by default for a few epochs."""
    return train(TrainConfig.of(**{**QUICK, "pack": pack.path, "out": out, **options}), progress or Progress())


def saved(trainer: Trainer, file: Path) -> dict[str, Any]:
    """Save a trainer's state; return it as read again."""
    save_training_state(trainer.state(), file)
    state = read_training_state(file, trainer.device)
    assert state is not None
    return state


def table(run: Artifact) -> list[dict[str, float]]:
    """Return the metrics of each epoch."""
    with (run.path / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


class Listener(Log):
    """Records progress, and can send SIGINT.

    Args:
        interrupt_at: The call of `advance`, from 1, that sends SIGINT; 0: none.
    """

    def __init__(self, interrupt_at: int = 0) -> None:
        super().__init__()
        self.interrupt_at = interrupt_at
        self.calls = itertools.count(1)
        self.totals: list[int | None] = []
        self.done = 0
        self.notes: list[str] = []

    @property
    def resumed(self) -> list[str]:
        """The lines about resuming."""
        return [line for line in self.lines if line.startswith("resuming")]

    def start(self, label: str, total: int | None = None) -> None:
        self.totals.append(total)
        self.done = 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        self.notes += [note] if note else []
        if next(self.calls) == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
