"""`fer train`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.metrics_table import format_averaged_over
from fercli.cli.options import SETTINGS_PANEL, stage_command
from fercli.recipes import Settings
from fercli.stages.train.config import TrainConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the validation metrics of the best epoch."""
    summary = artifact.summary
    metrics = summary["validation"]
    low, high = metrics["accuracy_interval"]
    occurring = sum(1 for images in artifact.manifest.counts["validation"].values() if images)
    yield (
        f"{summary['model']}: validation accuracy [bold]{metrics['accuracy']:.2%}[/bold] "
        f"\\[{low:.2%}, {high:.2%}], macro F1 {metrics['macro_f1']:.3f}"
        f"{format_averaged_over(occurring, len(artifact.manifest.emotions))}, n = {metrics['n']:,}"
    )
    yield (
        f"epoch {summary['best_epoch']}, {summary['selection']}; "
        f"{summary['seconds']:,.0f} s of training, {summary['images_per_second']:,.0f} images/s"
    )
    if summary.get("snapshots"):
        yield f"snapshots for fer ensemble: {', '.join(summary['snapshots'])}"


command = stage_command(
    TrainConfig,
    fercli.train,
    show,
    """Train a model on a pack's train split. The best epoch is selected on validation; test is never read.

    The model's recipe provides the defaults of the options. An interrupted run is resumed by repeating the call.

    Example: [bold]fer train pack run --model quick[/bold]
    """,
    panels=dict.fromkeys(Settings.model_fields, SETTINGS_PANEL),
)
