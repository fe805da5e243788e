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
    """Evaluate a checkpoint on a split of a pack: accuracy with 95 % interval, metrics by class, HTML report.

    To evaluate published weights, pass --weights FILE and --model instead of a checkpoint.

    Example: [bold]fer evaluate run pack evaluation --tta flip[/bold]
    """,
)
