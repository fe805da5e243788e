"""The page and the heat map of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fercli._version import __version__
from fercli.artifacts import Artifact
from fercli.artifacts.building import now
from fercli.models.checkpoints import Checkpoint
from fercli.report.matrix_plot import HeatCell, matrix_plot
from fercli.report.origins import lineage_items, run_of
from fercli.report.pages import LineageItem, render
from fercli.stages.matrix.summary import MatrixCell, MatrixSummary


@dataclass(frozen=True)
class MatrixPage:
    """The contents of a matrix's page; the fields are those of `fercli.report.pages.EvaluationPage`."""

    title: str
    picture: bytes
    lineage: tuple[LineageItem, ...]
    command: str
    version: str
    device: str
    ended: str


def heat_map(summary: MatrixSummary) -> bytes:
    """Return the heat map of the accuracies, with intervals; checkpoints trained on images of the pack are framed."""
    width = len(summary.packs)
    cells = [_heat_cell(cell) for cell in summary.cells]
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    title = f"Accuracy on the {summary.split} split, 95 % interval"
    return matrix_plot(rows, summary.checkpoints, summary.packs, title)


def _heat_cell(cell: MatrixCell) -> HeatCell:
    if cell.accuracy is None:
        return HeatCell(None, "no image")
    low, high = cell.accuracy_interval
    return HeatCell(cell.accuracy, f"{low:.1%} to {high:.1%}", frame=bool(cell.trained_on or cell.seen))


def matrix_page(
    summary: MatrixSummary,
    picture: bytes,
    checkpoints: Sequence[Checkpoint],
    packs: Sequence[Artifact],
    command: str,
    device: str,
) -> str:
    """Return the page as HTML."""
    page = MatrixPage(
        title=f"{len(checkpoints)} models on {len(packs)} packs, {summary.split} split",
        picture=picture,
        lineage=lineage_items([*(run_of(one.path) for one in checkpoints), *packs]),
        command=command,
        version=__version__,
        device=device,
        ended=now(),
    )
    return render("matrix.html.j2", {"page": page, "summary": dict(summary)})
