"""`fer evaluate`."""

from __future__ import annotations

import fercli
from fercli.cli.metrics_table import show
from fercli.cli.options import stage_command
from fercli.stages.evaluate.config import EvaluateConfig

command = stage_command(
    EvaluateConfig,
    fercli.evaluate,
    show,
    """Measure a checkpoint on a split of a pack: accuracy with its 95 % interval, figures by class, a page.

    Published weights are measured without a run: --weights FILE and their --model stand for the checkpoint.

    Example: [bold]fer evaluate run pack evaluation --tta flip[/bold]
    """,
)
