"""`fer pack`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import counts_table
from fercli.stages.pack.config import PackConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the counts and the format."""
    summary = artifact.summary
    yield counts_table(artifact.manifest.counts)
    yield f"{summary['size']} x {summary['size']} {summary['color']}"
    if fold := summary.get("fold"):
        yield f"fold {fold['fold']} of {fold['folds']} held out as {fold['as']}"
    if votes := summary.get("votes"):
        yield f"with votes: {', '.join(f'{count:,} of {split}' for split, count in votes.items())}"


command = stage_command(
    PackConfig,
    fercli.pack,
    show,
    """Write a data set as one HDF5 file of equal pictures, never normalised, made for training.

    Refuses pictures that stand in two splits, or a picture and what was made from it, and says how to clean them.

    Example: [bold]fer pack cleaned pack[/bold]
    """,
)
