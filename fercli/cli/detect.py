"""`fer detect`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import counts_table
from fercli.stages.detect.config import DetectConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the faces by split and emotion, and what became of the photographs."""
    found = artifact.summary
    yield counts_table(artifact.manifest.counts)
    yield (
        f"{found['faces']:,} faces in {found['images']:,} photographs; {found['without_face']:,} without a face, "
        f"{found['unreadable']:,} unreadable"
    )
    yield f"{found['images_per_second']:,.1f} photographs a second; see contact-sheet.png"


command = stage_command(
    DetectConfig,
    fercli.detect,
    show,
    """Find the faces in photographs and cut them out, squares of one size, as a data set.

    Folders split/emotion are kept, emotion ones are split 80/10/10 by photograph, all else is unlabelled.
    Photographs without a face are listed in the manifest. An interrupted call goes on where it was.

    Example: [bold]fer detect photographs faces --detector haar[/bold]
    """,
)
