"""A comparison's page and plot: report.html and comparison.png."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fercli._version import __version__
from fercli.artifacts import write_text
from fercli.artifacts.building import ArtifactBuilder, now
from fercli.report.origins import lineage_items
from fercli.report.pages import LineageItem, render
from fercli.stages.compare.alignment import Aligned
from fercli.stages.compare.members import Member
from fercli.stages.compare.pairs import OVERALL
from fercli.stages.compare.pictures import TITLES, disagreement_sheet, plot_differences
from fercli.stages.compare.sides import Side
from fercli.stages.compare.summary import ComparisonSummary
from fercli.stages.compare.wording import interval_text, p_text, points

PAGE, PLOT = "report.html", "comparison.png"


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
    sides: Sequence[Side],
    members: Sequence[Sequence[Member]],
    data: Aligned,
    pair: tuple[int, int],
    summary: ComparisonSummary,
    device: str,
) -> None:
    """Write comparison.png and report.html.

    Args:
        builder: The comparison being built.
        sides: Its sides.
        members: Their members.
        data: Their predictions.
        pair: The pair whose disagreements are shown.
        summary: What `--json` prints.
        device: The device it was computed on.
    """
    picture = plot_differences(summary)
    (builder.folder / PLOT).write_bytes(picture)
    names = sides[pair[0]].name, sides[pair[1]].name
    page = _Page(
        title=" against ".join(side.name for side in sides) if len(sides) < 4 else f"{len(sides)} sides compared",
        lineage=lineage_items([one for side in sides for one in side.artifacts]),
        command=builder.manifest.command,
        device=device,
        version=__version__,
        ended=now(),
    )
    context = {
        "page": page,
        "summary": summary,
        "picture": picture,
        "sheet": disagreement_sheet(members, data, pair, names),
        "shown": names,
        "overall": OVERALL,
        "titles": TITLES,
        "rows": len(data.labels),
        "format_points": points,
        "format_interval": interval_text,
        "format_p": p_text,
    }
    write_text(builder.folder / PAGE, render("comparison.html.j2", context))
