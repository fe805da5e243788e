"""`fer import`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import counts_table
from fercli.stages.import_dataset.config import ImportConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the counts, and what was skipped."""
    yield counts_table(artifact.manifest.counts)
    for reason, names in artifact.manifest.skipped.items():
        yield f"skipped {len(names):,}: {reason}"


command = stage_command(
    ImportConfig,
    fercli.import_dataset,
    show,
    """Make a data set of FER2013 (CSV or folders) or of folders of pictures by emotion.

    Splits of the source are kept; without any, 80/10/10 by emotion. Bad images are skipped, counted and listed.

    Example: [bold]fer import fer2013.csv faces[/bold]
    """,
)
