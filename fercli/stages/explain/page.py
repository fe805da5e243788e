"""The report of an explanation as one self-contained page: metrics, contact sheet or weights plot, lineage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fercli._version import __version__
from fercli.artifacts import is_artifact, open_artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, now
from fercli.models.checkpoints import Checkpoint
from fercli.report.origins import lineage_items, run_of
from fercli.report.pages import LineageItem, render
from fercli.report.style import line_styles
from fercli.stages.explain.summary import HeatmapSummary, WeightsSummary

PAGE = "report.html"


@dataclass(frozen=True)
class _Page:
    """Title and provenance of the page."""

    title: str
    lineage: tuple[LineageItem, ...]
    command: str
    device: str
    version: str
    ended: str


def write_page(
    builder: ArtifactBuilder,
    checkpoint: Checkpoint,
    images: Sequence[Path],
    summary: HeatmapSummary | WeightsSummary,
    picture: bytes,
    device: str = "cpu",
) -> None:
    """Write report.html.

    Args:
        builder: The explanation being built.
        checkpoint: The checkpoint explained.
        images: The sources given by the user, of which datasets and packs have a lineage.
        summary: What `--json` prints.
        picture: The contact sheet, or the weights plot, as PNG.
        device: The device it was computed on.
    """
    run = run_of(checkpoint.path)
    name = run.path.resolve().name
    title = f"Where {name} looks" if summary.method == "gradcam" else f"Features that {name} weights most"
    artifacts = [open_artifact(path) for path in images if is_artifact(path)]
    page = _Page(
        title=f"{title} ({checkpoint.metadata.architecture})",
        lineage=lineage_items([run, *artifacts]),
        command=builder.manifest.command,
        device=device,
        version=__version__,
        ended=now(),
    )
    context = {
        "page": page,
        "summary": summary,
        "colors": {emotion: style.color for emotion, style in line_styles(list(summary.emotions)).items()},
        "tops": [*summary.emotions.items(), ("all", summary.overall)] if summary.method == "weights" else [],
        "picture": picture,
    }
    write_text(builder.folder / PAGE, render("explain.html.j2", context))
