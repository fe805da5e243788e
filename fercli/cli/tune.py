"""`fer tune`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.markup import escape

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import SETTINGS_PANEL, stage_command
from fercli.recipes import Settings
from fercli.stages.tune.config import TuneConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the best trial, its metrics on both halves of validation, and its settings."""
    summary = artifact.summary
    yield (
        f"{summary['model']}: {summary['trials']:,} trials ({summary['complete']:,} complete, "
        f"{summary['pruned']:,} pruned, {summary['failed']:,} failed), {summary['seconds']:,.0f} s of training"
    )
    best = summary["best"]
    if best is None:
        yield "no trial is complete; trials.csv has the reasons"
        return
    settings = ", ".join(f"{name} {_short(value)}" for name, value in best["settings"].items())
    yield f"best: trial {best['number']}, {escape(settings)}"
    for title, half in (("on the half that chose it", best["validation"]), ("on the other half", best["other_half"])):
        low, high = half["accuracy_interval"]
        yield (
            f"  validation accuracy [bold]{half['accuracy']:.2%}[/bold] \\[{low:.2%}, {high:.2%}], macro F1 "
            f"{half['macro_f1']:.3f}, n = {half['n']:,} {title}"
        )
    if summary["importance"]:
        order = sorted(summary["importance"].items(), key=lambda item: -item[1])[:4]
        yield "matters most: " + ", ".join(f"{name} {share:.0%}" for name, share in order)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


command = stage_command(
    TuneConfig,
    fercli.tune,
    show,
    """Search for a model's hyperparameters. Trials are chosen by one half of validation; test is never read.

    Repeating the call continues an interrupted search; a larger --trials continues a finished one; calls with
    the same OUT work on it together.

    Example: [bold]fer tune pack study --model quick --trials 30[/bold]
    """,
    panels=dict.fromkeys(Settings.model_fields, SETTINGS_PANEL),
)
