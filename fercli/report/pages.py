"""Pages: one self-contained HTML file each, without scripts and without any address outside itself.

All text is escaped, for file names and emotions come from strangers; pictures stand in the page as `data:` addresses;
and the page's own content security policy forbids whatever else might be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fercli.files import as_text
from fercli.images import Pixels
from fercli.metrics.intervals import wilson_interval
from fercli.report.plots import data_uri, face_uri
from fercli.report.style import line_styles
from fercli.sanitize import visible


@dataclass(frozen=True)
class Mistake:
    """A face that was taken for something else.

    Attributes:
        pixels: The face, uint8 (H, W) or (H, W, 3).
        true: Its label's emotion.
        predicted: The emotion it was taken for.
        probability: What the model gave that emotion, in 0..1.
        path: Its path in the data set, shown when the pointer rests on it.
    """

    pixels: Pixels
    true: str
    predicted: str
    probability: float
    path: str = ""


@dataclass(frozen=True)
class LineageItem:
    """One artifact on the way from the photographs to this evaluation.

    Attributes:
        kind: dataset, pack, run, …
        path: Where it lay.
        digest: Digest of its payload, in full; the page shortens it.
        command: The command line that made it; empty where it was not made by one.
        started: When that began, ISO 8601; empty where unknown.
        ended: When it ended.
    """

    kind: str
    path: str
    digest: str
    command: str = ""
    started: str = ""
    ended: str = ""


@dataclass(frozen=True)
class EvaluationPage:
    """Everything an evaluation's page shows.

    Attributes:
        title: What was evaluated on what, in a few words.
        summary: The figures (`fercli.evaluation.summary`); an ensemble's tell of its members too.
        confusion_picture: PNG, from `figures.confusion_figure`.
        roc_picture: PNG, from `figures.roc_figure`.
        curves_picture: PNG, from `figures.curves_figure`; None where there was no training to show.
        mistakes: The most confident mistakes, the most confident first.
        lineage: The artifacts this one was made from, in the order in which they are to be listed.
        command: The command line of this evaluation; empty when it was called from Python.
        version: fercli's version.
        device: What it ran on.
        ended: When, ISO 8601.
        notes: What a reader must know besides, such as that the pack was written with leaks allowed; a line each.
    """

    title: str
    summary: Mapping[str, Any]
    confusion_picture: bytes
    roc_picture: bytes | None = None
    curves_picture: bytes | None = None
    mistakes: tuple[Mistake, ...] = ()
    lineage: tuple[LineageItem, ...] = ()
    command: str = ""
    version: str = ""
    device: str = ""
    ended: str = ""
    notes: tuple[str, ...] = ()


def evaluation_page(page: EvaluationPage) -> str:
    """Return an evaluation's page as HTML, to be written as UTF-8."""
    summary = dict(page.summary)
    emotions, matrix = summary["emotions"], summary["confusion"]
    context = {
        "page": page,
        "summary": summary,
        "colors": {name: style.color for name, style in line_styles(emotions).items()},
        "members": summary.get("members", []),
        "mcnemar": summary.get("mcnemar"),
        "recall_intervals": {
            name: wilson_interval(row[i], sum(row)) for i, (name, row) in enumerate(zip(emotions, matrix, strict=True))
        },
        "wrong": summary["n"] - sum(row[i] for i, row in enumerate(matrix)),
    }
    return render("evaluation.html.j2", context)


def render(template: str, context: Mapping[str, object]) -> str:
    """Return the page that a template of `templates/` makes of `context`.

    Everything is escaped, and a name that the context lacks is an error. In templates the filters `percent` and
    `ratio` write numbers, and `data_uri` and `face_uri` turn a PNG's bytes or a face's pixels into an address.
    """
    environment = Environment(
        loader=PackageLoader("fercli.report", "templates"),
        autoescape=True,
        finalize=_inert,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, ratio=_ratio, data_uri=data_uri, face_uri=face_uri)
    html = environment.get_template(template).render(context)
    return as_text(html)  # file names in it may hold bytes that are no UTF-8


def _inert(value: object) -> object:
    """Return what a template prints, without characters that a terminal or browser would obey."""
    return visible(value) if type(value) is str else value


def _percent(value: float | None, digits: int = 2) -> str:
    return "undefined" if value is None else f"{100 * value:.{digits}f} %"


def _ratio(value: float | None) -> str:
    """Return a ratio for people; nothing, where there is none."""
    return "" if value is None else f"{value:.3f}"
