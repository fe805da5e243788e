"""Weights & Biases: offline, into a folder that `wandb sync` uploads, unless WANDB_MODE says otherwise."""

from __future__ import annotations

import html
import io
import os
import secrets
from collections.abc import Mapping
from typing import Any

import wandb
from PIL import Image

from fercli.errors import UsageError
from fercli.trackers.base import PROJECT, Position, Status, TrackedRun


class WandbTracker:
    """Writes one run of the project `fercli`, or of WANDB_PROJECT.

    Args:
        where: A folder; by default WANDB_DIR, else the current one, in which it creates `wandb/`.
    """

    def __init__(self, where: str | None = None) -> None:
        if where is not None and "://" in where:
            raise UsageError(
                "--track wandb: its destination is a folder; for a server set WANDB_MODE=online and WANDB_BASE_URL"
            )
        self.folder = where or os.environ.get("WANDB_DIR") or "."

    def begin(self, run: TrackedRun, position: Position | None) -> Position:
        """Create a run, or continue one; offline that is another folder with the same id, which `wandb sync` merges."""
        mode: Any = os.environ.get("WANDB_MODE") or "offline"
        position = position or Position(secrets.token_hex(4))
        os.makedirs(self.folder, exist_ok=True)  # for a missing folder wandb would write into a temporary one
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            dir=self.folder,
            id=position.id,
            name=run.name,
            mode=mode,
            config=dict(run.config),
            resume="allow" if position.epoch and mode != "offline" else None,
            settings=wandb.Settings(
                # No output, no prompts, and no waiting for a server that is away.
                silent=True, console="off", init_timeout=30, login_timeout=10, finish_timeout=60,
                # Nothing about the machine, the user, the code or the command.
                x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True, x_save_requirements=False,
                disable_git=True, disable_code=True, save_code=False,
                reinit="create_new",  # the program that calls fercli may have a run of its own
            ),
        )  # fmt: skip
        if not position.epoch:
            self.run.summary["lineage"] = run.lineage
        return position

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Hand an epoch's metrics to wandb's process, which writes them."""
        self.run.log(dict(metrics), step=epoch, commit=True)

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        """Set the summary."""
        self.run.summary.update(dict(metrics))

    def log_picture(self, name: str, png: bytes) -> None:
        """Log a picture."""
        self.run.log({name: wandb.Image(Image.open(io.BytesIO(png)))})

    def log_text(self, name: str, markdown: str) -> None:
        """Log a text."""
        self.run.log({name: wandb.Html(f"<pre>{html.escape(markdown)}</pre>")})

    def end(self, status: Status) -> None:
        """Finish; wandb knows finished and failed runs only, so the summary tells interrupted ones."""
        self.run.summary["status"] = status
        self.run.finish(exit_code=0 if status == "finished" else 1)
