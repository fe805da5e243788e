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
    """Yield the counts and the image format."""
    summary = artifact.summary
    yield counts_table(artifact.manifest.counts)
    yield f"{summary['size']} x {summary['size']} {summary['color']}"
    if fold := summary.get("fold"):
        yield f"fold {fold['fold']} of {fold['folds']} held out as {fold['as']}"
    if mixed := summary.get("soft_targets"):
        yield (
            f"soft targets: {mixed['share']:g} label, {1 - mixed['share']:g} out-of-fold prediction for "
            f"{mixed['images']:,} train images; labels agree with the prediction for {mixed['agreement']:.1%}"
        )
    elif votes := summary.get("votes"):
        yield f"with votes: {', '.join(f'{count:,} of {split}' for split, count in votes.items())}"


command = stage_command(
    PackConfig,
    fercli.pack,
    show,
    """Pack a dataset into one HDF5 file of equally sized, unnormalised images for training.

    Fails if an image, or an image and its augmented copy, is in two splits, and says how to clean the dataset.

    Example: [bold]fer pack cleaned pack[/bold]
    """,
)
