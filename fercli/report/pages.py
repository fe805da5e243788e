"""Pages: one self-contained HTML file each, without scripts and without any address outside itself.

All text is escaped, for file names and emotions come from strangers; pictures stand in the page as `data:` addresses;
and the page's own content security policy forbids whatever else might be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined

from fercli.files import as_text
from fercli.images import Pixels
from fercli.metrics.intervals import wilson_interval
from fercli.report.plots import data_uri, face_uri
from fercli.report.style import line_styles
from fercli.sanitize import replace_unprintable


class ClassSummary(TypedDict):
    """One emotion's figures against the rest: ratios in 0..1, and the images whose label it is.

    None is what cannot be told: recall and F1 of an emotion that does not occur (`fercli.metrics.confusion`).
    """

    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    support: int


class WithoutLeaks(TypedDict):
    """The figures without the images whose pixels the run was trained on; `accuracy` is None where none is left."""

    n: int
    accuracy: float | None
    accuracy_interval: list[float]


class EvaluationSummary(TypedDict):
    """What `fer evaluate --json` prints. Ratios are in 0..1, intervals are [low, high] at 95 %.

    `tta` names the test-time augmentation, `selection` says what was selected and on what, `roc_auc` is None where
    fewer than two emotions occur; it, `balanced_accuracy` and `macro_f1` are means over the emotions that occur, which
    are `averaged_over` of them. `confusion` has a row a true class, and `per_class` an entry for each of `emotions`.
    """

    split: str
    n: int
    tta: str
    selection: str
    emotions: list[str]
    accuracy: float
    accuracy_interval: list[float]
    balanced_accuracy: float
    macro_f1: float
    averaged_over: int
    roc_auc: float | None
    per_class: dict[str, ClassSummary]
    confusion: list[list[int]]
    without_leaks: WithoutLeaks | None


class MemberSummary(TypedDict):
    """One member of an ensemble: its weight (0 where it has no part), and its own figures on the same split.

    `options` holds those of the architecture's options that are not the default.
    `validation_accuracy` is None where it is not known; `selected` tells whether the member was chosen.
    """

    checkpoint: str
    architecture: str
    options: dict[str, str]
    weight: float
    accuracy: float
    accuracy_interval: list[float]
    validation_accuracy: float | None
    selected: bool


class McNemarSummary(TypedDict):
    """McNemar's exact test of the ensemble against its best member: images that both, one or neither got right.

    `best_by` says by what the member is the best; never by the split measured.
    """

    best_member: str
    best_by: str
    both: int
    only_ensemble: int
    only_member: int
    neither: int
    p_value: float


class EnsembleSummary(EvaluationSummary):
    """What `fer ensemble --json` prints: an evaluation's figures, and how the members came to them.

    `mcnemar` is None where no validation figures say which member is the best.
    """

    method: str
    members: list[MemberSummary]
    mcnemar: McNemarSummary | None


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
        summary: The figures; an ensemble's tell of its members too.
        confusion_picture: PNG, from `plots.confusion_plot`.
        roc_picture: PNG, from `plots.roc_plot`.
        curves_picture: PNG, from `plots.curves_plot`; None where there was no training to show.
        mistakes: The most confident mistakes, the most confident first.
        lineage: The artifacts this one was made from, in the order in which they are to be listed.
        command: The command line of this evaluation; empty when it was called from Python.
        version: fercli's version.
        device: What it ran on.
        ended: When, ISO 8601.
        notes: What a reader must know besides, such as that the pack was written with leaks allowed; a line each.
    """

    title: str
    summary: EvaluationSummary | EnsembleSummary
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
    emotions, matrix = page.summary["emotions"], page.summary["confusion"]
    context = {
        "page": page,
        "summary": page.summary,
        "colors": {name: style.color for name, style in line_styles(emotions).items()},
        "members": page.summary.get("members", []),
        "mcnemar": page.summary.get("mcnemar"),
        "recall_intervals": {
            name: wilson_interval(row[i], sum(row)) for i, (name, row) in enumerate(zip(emotions, matrix, strict=True))
        },
        "wrong": page.summary["n"] - sum(row[i] for i, row in enumerate(matrix)),
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
        finalize=_sanitized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, ratio=_ratio, data_uri=data_uri, face_uri=face_uri)
    html = environment.get_template(template).render(context)
    return as_text(html)  # file names in it may hold bytes that are no UTF-8


def _sanitized(value: object) -> object:
    """Return what a template prints, without characters that a terminal or browser would obey."""
    return replace_unprintable(value) if type(value) is str else value


def _percent(value: float | None, digits: int = 2) -> str:
    return "undefined" if value is None else f"{100 * value:.{digits}f} %"


def _ratio(value: float | None) -> str:
    """Return a ratio for people; nothing, where there is none."""
    return "" if value is None else f"{value:.3f}"
