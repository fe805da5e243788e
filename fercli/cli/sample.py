"""`fer sample`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import counts_table
from fercli.stages.sample.config import SampleConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the counts of photographs and faces."""
    yield counts_table(artifact.manifest.counts)
    yield f"{artifact.summary['faces']:,} faces; see contact-sheet.png"


command = stage_command(
    SampleConfig,
    fercli.sample,
    show,
    """Draw photographs with faces that show the seven emotions: data for those who have none.

    One to three faces a photograph. Box, landmarks and action units of every face stand in truth.csv; nobody is in two
    splits; the same seed draws the same pictures.

    Example: [bold]fer sample photographs[/bold]
    """,
)
