"""TensorBoard: event files, a folder for each run within one folder, so that `tensorboard --logdir` compares them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from fercli.trackers.base import Position, Status, TrackedRun

DEFAULT = "tensorboard"
COMPARED = ("accuracy/validation", "macro_f1/validation", "final/best_validation_accuracy")
"""Scalars that TensorBoard's table of hyperparameters shows beside the options."""


class TensorBoardTracker:
    """Writes event files into `WHERE/<run>`.

    Args:
        where: A folder; by default `tensorboard` in the current one.
    """

    def __init__(self, where: str | None = None) -> None:
        self.folder = Path(where or DEFAULT).expanduser()

    def begin(self, run: TrackedRun, position: Position | None) -> Position:
        """Open a new folder, or append to that of an earlier call."""
        if position is None or not (self.folder / position.id).is_dir():
            position = Position(self._free_name(run.name))
        folder = self.folder / position.id
        # Events from purge_step on are ignored when read: an epoch that was written but not noted before a kill.
        self.writer = SummaryWriter(folder, purge_step=position.epoch + 1 if position.epoch else None)
        self.epoch = position.epoch
        # SummaryWriter.add_hparams would write another run, and only at the end.
        experiment, started, self.ended = hparams(  # type: ignore[no-untyped-call]
            dict(run.config), dict.fromkeys(COMPARED, 0.0)
        )
        if not position.epoch:
            rows = "".join(f"| {name} | {value} |\n" for name, value in run.config.items())
            self.writer.add_text("config", f"| option | value |\n|---|---|\n{rows}", 0)
            self.writer.add_text("lineage", run.lineage, 0)
            for summary in (experiment, started):
                self._add(summary)
        self.writer.flush()
        return position

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write an epoch's metrics, and flush them."""
        for name, value in metrics.items():
            self.writer.add_scalar(_tag(name), value, epoch)
        self.epoch = epoch
        self.writer.flush()

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        """Write the final metrics."""
        for name, value in metrics.items():
            self.writer.add_scalar(f"final/{name}", value, self.epoch)

    def log_picture(self, name: str, png: bytes) -> None:
        """Write a picture."""
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        self.writer.add_image(name, pixels, self.epoch, dataformats="HWC")

    def log_text(self, name: str, markdown: str) -> None:
        """Write a text."""
        self.writer.add_text(name, markdown, self.epoch)

    def end(self, status: Status) -> None:
        """Write the status, since event files have none, and close."""
        self.writer.add_text("status", f"{status} after epoch {self.epoch}", self.epoch)
        if status == "finished":
            self._add(self.ended)
        self.writer.close()

    def _add(self, summary: Any) -> None:
        """Write what SummaryWriter has no method for."""
        files: Any = self.writer.file_writer
        files.add_summary(summary)

    def _free_name(self, name: str) -> str:
        """Return a name whose folder does not exist: events of different trainings must not mix."""
        names = (name if n == 1 else f"{name}-{n}" for n in range(1, 100_000))
        return next(one for one in names if not (self.folder / one).exists())


def _tag(name: str) -> str:
    """Return the tag of a metric: train and validation of the same metric in one section.

    >>> _tag("validation_loss"), _tag("learning_rate")
    ('loss/validation', 'learning_rate')
    """
    split, _, metric = name.partition("_")
    return f"{metric}/{split}" if split in ("train", "validation") else name
