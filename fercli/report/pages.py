"""HTML reports: each a self-contained file without scripts or external resources.

All text is escaped, since file names and emotions are untrusted; images are embedded as `data:` URIs; and a content
security policy forbids loading anything else.
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
from fercli.sanitize import replace_unprintable


@dataclass(frozen=True)
class Mistake:
    """A misclassified face.

    Attributes:
        pixels: The face, uint8 (H, W) or (H, W, 3).
        true: The emotion of its label.
        predicted: The predicted emotion.
        probability: The predicted probability, in 0..1.
        path: Its path in the dataset, shown as a tooltip.
    """

    pixels: Pixels
    true: str
    predicted: str
    probability: float
    path: str = ""


@dataclass(frozen=True)
class LineageItem:
    """One artifact in the lineage of this evaluation.

    Attributes:
        kind: dataset, pack, run, …
        path: Its path.
        digest: Full digest of its payload; the report shortens it.
        command: Command line that created it; empty if unknown.
        started: Start time, ISO 8601; empty if unknown.
        ended: End time, likewise.
    """

    kind: str
    path: str
    digest: str
    command: str = ""
    started: str = ""
    ended: str = ""


@dataclass(frozen=True)
class EvaluationPage:
    """The contents of an evaluation's report.

    Attributes:
        title: A short title, such as the model and the data.
        summary: The metrics; for an ensemble including its members.
        confusion_picture: PNG, from `plots.confusion_plot`.
        roc_picture: PNG, from `plots.roc_plot`.
        reliability_picture: PNG, from `calibration_plot.reliability_plot`.
        selective_picture: PNG, from `risk_coverage_plot.risk_coverage_plot`.
        groups_picture: PNG, from `groups_plot.groups_plot`; None without groups.
        corruptions_picture: PNG, from `corruptions_plot.corruptions_plot`; None without corruptions.
        corruptions_sheet: PNG, one face at every strength of each corruption; None likewise.
        affect_picture: PNG, from `affect_plot.affect_plot`; None without valence and arousal.
        curves_picture: PNG, from `plots.curves_plot`; None if there was no training.
        mistakes: The most confident mistakes, in descending order.
        lineage: The inputs of this evaluation, in display order.
        command: The command line of this evaluation; empty if it was called from Python.
        version: Version of fercli.
        device: The device it ran on.
        ended: End time, ISO 8601.
        notes: Further notes of one line each, such as that the pack contains leaks.
    """

    title: str
    summary: Mapping[str, Any]
    confusion_picture: bytes
    roc_picture: bytes | None = None
    reliability_picture: bytes | None = None
    selective_picture: bytes | None = None
    groups_picture: bytes | None = None
    corruptions_picture: bytes | None = None
    corruptions_sheet: bytes | None = None
    affect_picture: bytes | None = None
    curves_picture: bytes | None = None
    mistakes: tuple[Mistake, ...] = ()
    lineage: tuple[LineageItem, ...] = ()
    command: str = ""
    version: str = ""
    device: str = ""
    ended: str = ""
    notes: tuple[str, ...] = ()


def evaluation_page(page: EvaluationPage) -> str:
    """Return an evaluation's report as HTML, to be written as UTF-8."""
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
    """Render a template of `templates/`.

    Everything is escaped, and undefined names are errors. The filters `percent` and `ratio` format numbers, and
    `data_uri` and `face_uri` turn a PNG's bytes or a face's pixels into a URI.
    """
    environment = Environment(
        loader=PackageLoader("fercli.report", "templates"),
        autoescape=True,
        finalize=_sanitized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, ratio=_ratio, data_uri=data_uri, face_uri=face_uri)
    html = environment.get_template(template).render(context)
    return as_text(html)  # file names may contain bytes that are not UTF-8


def _sanitized(value: object) -> object:
    """Return a value for a template, with control characters replaced."""
    return replace_unprintable(value) if type(value) is str else value


def _percent(value: float | None, digits: int = 2) -> str:
    return "undefined" if value is None else f"{100 * value:.{digits}f} %"


def _ratio(value: float | None) -> str:
    """Format a ratio; '' for None."""
    return "" if value is None else f"{value:.3f}"
