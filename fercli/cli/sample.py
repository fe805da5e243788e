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
    """Yield the numbers of photographs and faces."""
    yield counts_table(artifact.manifest.counts)
    yield f"{artifact.summary['faces']:,} faces; see contact-sheet.png"


command = stage_command(
    SampleConfig,
    fercli.sample,
    show,
    """Generate synthetic photographs of faces with the seven emotions, to try fer without data.

    Each photograph has one to three faces. truth.csv lists the box, landmarks and action units of every face. No person
    is in two splits, and the same seed gives the same images.

    Example: [bold]fer sample photographs[/bold]
    """,
)
