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
    """Yield the faces by split and emotion, and what became of the photographs and videos."""
    found = artifact.summary
    videos = found.get("videos", 0)
    yield counts_table(artifact.manifest.counts)
    if videos:
        yield f"{found['frames']:,} frames taken of {videos:,} video{'s' if videos > 1 else ''}"
    what = "photographs" if not videos else "photographs and videos" if found["images"] > videos else "videos"
    # Of one alone, the singular of what it is.
    named = what.removesuffix("s") if found["images"] == 1 else what
    yield (
        f"{found['faces']:,} faces in {found['images']:,} {named}; {found['without_face']:,} without a face, "
        f"{found['unreadable']:,} unreadable"
    )
    if left_out := found.get("left_out", 0):
        yield f"{left_out:,} faces left out for --min-size or --min-score"
    yield f"{found['images_per_second']:,.1f} {what} a second; see contact-sheet.png"


command = stage_command(
    DetectConfig,
    fercli.detect,
    show,
    """Find the faces in photographs and videos and cut them out, squares of one size, as a data set.

    Folders split/emotion are kept, emotion ones are split 80/10/10 by photograph, all else is unlabelled.
    A video's frames stay together, and each face in it has a number, face_id, that it keeps.
    Photographs without a face are listed in the manifest. An interrupted call goes on where it was.

    Example: [bold]fer detect photographs faces[/bold]
    """,
)
