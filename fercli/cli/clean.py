"""`fer clean`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import counts_table, name, table
from fercli.stages.clean.config import CleanConfig

LINES: dict[str, str] = {
    "groups": "groups of duplicates",
    "across_splits": "groups across splits",
    "test_in_train": "test images also in train",
    "validation_in_train": "validation images also in train",
    "test_in_validation": "test images also in validation",
    "conflicts": "groups with different labels",
}


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield what was found and what was removed."""
    found = artifact.summary
    rows = table("found", "exact", "near")
    for key, text in LINES.items():
        rows.add_row(text, f"{found['exact'][key]:,}", f"{found['near'][key]:,}")
    rows.add_row("constant images", f"{found['constant']:,}", "")
    yield rows
    if faces := found.get("faces"):
        yield f"no face detected by {name(faces['detector'])}:"
        yield counts_table(faces["without"])
        if faces["turned"]:
            yield f"rotated {faces['turned']:,} faces upright"
        yield from (f"note: {name(note)}" for note in faces["notes"])
    if suspects := found.get("label_issues"):
        counts = ", ".join(
            f"{n:,} of {suspects['examined'][split]:,} {split}" for split, n in suspects["found"].items()
        )
        yield f"label issues: {counts}; see label_issues.csv"
        if missing := sum(suspects["without_prediction"].values()):
            yield f"not examined, since all runs were trained on them: {missing:,} images"
    verb = "would remove" if artifact.manifest.kind == "report" else "removed"
    removed = ", ".join(f"{count:,} of {split}" for split, count in found["removed"].items() if count)
    yield f"{verb} {removed or 'nothing'}; see report.html"


command = stage_command(
    CleanConfig,
    fercli.clean,
    show,
    """Find duplicates, label conflicts and constant images; remove copies that leak between splits.

    Of a copy in two splits the lower-ranking one is removed: test outranks validation, validation outranks train. The
    input dataset is not modified.

    With --detector, images without a detected face are removed too, in all splits; with --align, faces are rotated
    upright. With --labels, runs that were not trained on an image judge whether its label is probably wrong.

    Example: [bold]fer clean faces cleaned[/bold]
    """,
)
