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
    """Yield the faces by split and emotion, and the results for the photographs and videos."""
    found = artifact.summary
    videos = found.get("videos", 0)
    yield counts_table(artifact.manifest.counts)
    if videos:
        yield f"{found['frames']:,} frames sampled from {videos:,} video{'s' if videos > 1 else ''}"
    what = "photographs" if not videos else "photographs and videos" if found["images"] > videos else "videos"
    # The singular for a single input.
    named = what.removesuffix("s") if found["images"] == 1 else what
    yield (
        f"{found['faces']:,} faces in {found['images']:,} {named}; {found['without_face']:,} without a face, "
        f"{found['unreadable']:,} unreadable"
    )
    if left_out := found.get("left_out", 0):
        yield f"{left_out:,} faces discarded by --min-size or --min-score"
    yield f"{found['images_per_second']:,.1f} {what}/s; see contact-sheet.png"


command = stage_command(
    DetectConfig,
    fercli.detect,
    show,
    """Detect the faces in photographs and videos and crop them to squares of one size, as a dataset.

    Folders split/emotion are kept, folders of emotions are split 80/10/10 by photograph, anything else is unlabelled.
    The frames of a video stay in one split, and each face in it is tracked by a face_id. Photographs without a face are
    listed in the manifest. An interrupted call is resumed by repeating it.

    Example: [bold]fer detect photographs faces[/bold]
    """,
)
