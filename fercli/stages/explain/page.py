"""The explanation as one page that needs nothing else: figures, the sheet of faces or the chart of weights, lineage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercli._version import __version__
from fercli.artifacts import is_artifact, open_artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, now
from fercli.models.checkpoints import Checkpoint
from fercli.report.origins import lineage_items, run_of
from fercli.report.pages import LineageItem, render
from fercli.report.style import line_styles

PAGE = "report.html"


@dataclass(frozen=True)
class _Page:
    """What stands around the figures."""

    title: str
    lineage: tuple[LineageItem, ...]
    command: str
    device: str
    version: str
    ended: str


def write_page(
    job: ArtifactBuilder,
    checkpoint: Checkpoint,
    images: Sequence[Path],
    summary: dict[str, Any],
    picture: bytes,
    device: str = "cpu",
) -> None:
    """Write report.html.

    Args:
        job: The explanation being built.
        checkpoint: The checkpoint explained.
        images: What was looked at, as the call named it; of these, datasets and packs have a lineage.
        summary: What `--json` prints.
        picture: The contact sheet, or the chart of weights, as PNG.
        device: Where it was computed.
    """
    run = run_of(checkpoint.path)
    name, what = run.path.resolve().name, checkpoint.metadata.architecture
    looks = "Where {} looks" if summary["method"] == "gradcam" else "What {} weighs"
    artifacts = [open_artifact(path) for path in images if is_artifact(path)]
    page = _Page(
        f"{looks.format(name)} ({what})", lineage_items([run, *artifacts]), job.manifest.command, device, __version__,
        now(),
    )  # fmt: skip
    emotions = summary["emotions"]
    context = {
        "page": page,
        "summary": summary,
        "colors": {emotion: style.color for emotion, style in line_styles(list(emotions)).items()},
        "tops": [*emotions.items(), ("all", summary["all"])] if summary["method"] == "weights" else [],
        "picture": picture,
    }
    write_text(job.folder / PAGE, render("explain.html.j2", context))
