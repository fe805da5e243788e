"""An evaluation's files: metrics.json, predictions.csv, confusion.png and report.html.

With groups also groups.csv, with corruptions corruptions.csv and corruptions.png.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli._version import __version__
from fercli.artifacts import Artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, now
from fercli.artifacts.digests import digest_file
from fercli.artifacts.key_metrics import origin_of, sequence
from fercli.artifacts.tables import write_csv
from fercli.datasets.affect import AFFECT_COLUMNS
from fercli.evaluation.affect import AffectPredictions
from fercli.evaluation.corruptions import CORRUPTIONS
from fercli.evaluation.grouping import write_groups
from fercli.evaluation.robustness import corruptions_sheet, write_corruptions
from fercli.evaluation.summary import EvaluationSummary
from fercli.files import open_text
from fercli.hub.address import cached_address
from fercli.metrics.calibration import reliability_bins
from fercli.metrics.curves import roc_curves
from fercli.metrics.selective import risk_coverage
from fercli.models.checkpoints import Checkpoint
from fercli.packs.file import PackSplit
from fercli.report.affect_plot import affect_plot
from fercli.report.calibration_plot import reliability_plot
from fercli.report.corruptions_plot import corruptions_plot
from fercli.report.groups_plot import GroupRow, groups_plot
from fercli.report.origins import data_name, lineage_items, run_of
from fercli.report.pages import (
    EvaluationPage,
    LineageItem,
    Mistake,
    evaluation_page,
)
from fercli.report.plots import confusion_plot, curves_plot, roc_plot
from fercli.report.risk_coverage_plot import risk_coverage_plot
from fercli.sanitize import path_cell, word_cell

MISTAKES = 36
"""Maximum number of mistakes shown in a report."""


@dataclass(frozen=True)
class Measured:
    """Predictions for a split and their metrics.

    Attributes:
        what: Short description of what was evaluated: an architecture, or an ensemble.
        checkpoints: The checkpoints that predicted, each once.
        pack: The pack.
        faces: The pack's split.
        labels: (N,), indices into the summary's emotions.
        probabilities: (N, C), columns in the order of the summary's emotions.
        summary: The metrics.
        device: Device used.
        notes: Further notes for the report.
        raw: The probabilities before calibration, (N, C); None if they are unknown.
        affect: Valence and arousal; None if the checkpoint does not predict them.
    """

    what: str
    checkpoints: tuple[Checkpoint, ...]
    pack: Artifact
    faces: PackSplit
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.floating[Any]]
    summary: EvaluationSummary
    device: str
    notes: tuple[str, ...] = ()
    raw: npt.NDArray[np.floating[Any]] | None = None
    affect: AffectPredictions | None = None


def finish_evaluation(builder: ArtifactBuilder, measured: Measured) -> None:
    """Write the files of an evaluation, and finish its artifact."""
    summary = measured.summary
    write_text(builder.folder / "metrics.json", json.dumps(dict(summary), indent=1) + "\n")
    _write_predictions(builder.folder / "predictions.csv", measured)
    if summary.groups is not None:
        write_groups(builder.folder / "groups.csv", summary.groups, summary.emotions)
    if summary.corruptions is not None:
        write_corruptions(builder.folder / "corruptions.csv", summary.corruptions, summary.n)
    _write_page(builder, measured)
    builder.finish(
        digest=digest_file(builder.folder / "predictions.csv"),
        emotions=summary.emotions,
        counts={summary.split: {e: summary.per_class[e].support for e in summary.emotions}},
        summary=summary,
        details={"origin": _origin(measured)},
        device=measured.device,
    )


def _origin(measured: Measured) -> dict[str, Any]:
    """Return the origin of the metrics, of checkpoints with a nonzero weight."""
    weights = [member["weight"] for member in sequence(measured.summary.get("members"))] or [1.0]
    used = [one for one, weight in zip(measured.checkpoints, weights, strict=True) if weight]
    return origin_of([one.metadata.architecture for one in used], [one.path for one in used], measured.pack)


def _write_predictions(file: Path, measured: Measured) -> None:
    """Write predictions.csv: path, label by name, one probability per emotion; with several splits also the split.

    Valence and arousal, where they are predicted, are the last columns.
    """
    affect, splits = measured.affect, measured.faces.splits or []
    names = [word_cell(emotion) for emotion in measured.summary.emotions]
    faces = zip(measured.faces.paths, measured.labels, measured.probabilities, strict=True)
    rows = (
        [
            path_cell(path),
            *splits[number : number + 1],
            names[label],
            *(f"{value:.6f}" for value in row),
            *(affect.cells(number) if affect else ()),
        ]
        for number, (path, label, row) in enumerate(faces)
    )
    write_csv(
        file, ["path", *(["split"] if splits else []), "label", *names, *(AFFECT_COLUMNS if affect else ())], rows
    )


def _write_page(builder: ArtifactBuilder, measured: Measured) -> None:
    """Write confusion.png and report.html."""
    summary, pack = measured.summary, measured.pack
    emotions = summary.emotions
    low, high = summary.accuracy_interval
    title = (
        f"{_title(measured)}, n = {summary.n:,}\n"
        f"accuracy {summary.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%})"
    )
    confusion = confusion_plot(np.array(summary.confusion, np.int64), emotions, title)
    (builder.folder / "confusion.png").write_bytes(confusion)
    leaks = pack.manifest.summary.get("leaks", 0)
    notes = (f"The pack was written with {leaks:,} pairs of identical images in two splits.",) if leaks else ()
    sheet = _corruptions_sheet(measured)
    if sheet is not None:
        (builder.folder / "corruptions.png").write_bytes(sheet)
    page = EvaluationPage(
        title=_title(measured),
        summary=summary,
        confusion_picture=confusion,
        **plots_of(summary, measured.labels, measured.probabilities, measured.raw),
        corruptions_sheet=sheet,
        affect_picture=_affect(measured),
        curves_picture=_curves(*measured.checkpoints) if len(measured.checkpoints) == 1 else None,
        mistakes=_mistakes(measured),
        lineage=_lineage(measured),
        command=builder.manifest.command,
        version=__version__,
        device=measured.device,
        ended=now(),
        notes=(*notes, *measured.notes),
    )
    write_text(builder.folder / "report.html", evaluation_page(page))


def plots_of(
    summary: EvaluationSummary,
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.floating[Any]],
    raw: npt.NDArray[np.floating[Any]] | None = None,
) -> dict[str, Any]:
    """Return the plots of an evaluation's page by its fields, except for the confusion matrix.

    Args:
        summary: The metrics.
        labels: (N,), indices into the summary's emotions.
        probabilities: (N, C).
        raw: The same before calibration; None if they are unknown.
    """
    return {
        "reliability_picture": _reliability(labels, probabilities, raw),
        "selective_picture": risk_coverage_plot(risk_coverage(probabilities.max(1), probabilities.argmax(1) == labels)),
        "groups_picture": _groups(summary),
        "corruptions_picture": _corruptions(summary),
        "roc_picture": roc_plot(roc_curves(labels, probabilities, summary.emotions)),
    }


def _reliability(
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.floating[Any]],
    raw: npt.NDArray[np.floating[Any]] | None,
) -> bytes:
    """Return the reliability diagram: after calibration and, if that changed anything, before it."""
    sets = {"probabilities": probabilities}
    if raw is not None and not np.array_equal(raw, probabilities):
        sets = {"before calibration": raw, "after calibration": probabilities}
    return reliability_plot({name: reliability_bins(values, labels) for name, values in sets.items()})


def _groups(summary: EvaluationSummary) -> bytes | None:
    """Return the plot of accuracy by group; None without groups."""
    if (found := summary.groups) is None:
        return None
    widest = () if found.gap is None or not found.gap.gap else (found.gap.high, found.gap.low)
    rows = [
        GroupRow(name, one.n, one.accuracy, (one.accuracy_interval[0], one.accuracy_interval[1]), name in widest)
        for name, one in found.groups.items()
    ]
    return groups_plot(rows, summary.accuracy, found.by)


def _corruptions(summary: EvaluationSummary) -> bytes | None:
    """Return the plot of accuracy under corruptions; None without corruptions."""
    if (found := summary.corruptions) is None:
        return None
    curves = {name: (one.accuracy, one.accuracy_interval) for name, one in found.corruptions.items()}
    notes = {name: CORRUPTIONS[name].parameter for name in curves}
    return corruptions_plot(curves, summary.accuracy, summary.accuracy_interval, notes)


def _affect(measured: Measured) -> bytes | None:
    """Return the plot of valence and arousal; None if there is nothing to compare."""
    affect, found = measured.affect, measured.summary.affect
    if affect is None or found is None:
        return None
    titles = [
        f"{name}: {'CCC undefined' if one.ccc is None else f'CCC {one.ccc:.3f}'}, RMSE {one.rmse:.3f}"
        for name, one in (("Valence", found.valence), ("Arousal", found.arousal))
    ]
    return affect_plot(affect.predicted[affect.known], affect.annotated[affect.known], titles)


def _corruptions_sheet(measured: Measured) -> bytes | None:
    """Return the contact sheet of the split's first face under the corruptions; None without corruptions."""
    found = measured.summary.corruptions
    return None if found is None else corruptions_sheet(list(found.corruptions), measured.faces.images[0])


def _title(measured: Measured) -> str:
    """Return the title of the report: the run, the data and the split."""
    what = measured.what
    if len(measured.checkpoints) == 1:
        path = measured.checkpoints[0].path
        name = path.name if path.is_file() else run_of(path).path.resolve().name
        address = cached_address(path)
        what = f"{name if address is None else address.short} ({what})"
    where = "all splits" if measured.faces.splits else f"{measured.summary.split} split"
    return f"{what} on {data_name(measured.pack)}, {where}"


def _lineage(measured: Measured) -> tuple[LineageItem, ...]:
    """Return the lineage of the metrics: published weights, runs, the pack, and their inputs."""
    files = [one for one in measured.checkpoints if one.path.is_file()]
    runs = [run_of(one.path) for one in measured.checkpoints if not one.path.is_file()]
    published = (
        LineageItem("weights", str(cached_address(one.path) or one.path.as_posix()), one.digest) for one in files
    )
    return (*published, *lineage_items([*runs, measured.pack]))


def _curves(checkpoint: Checkpoint) -> bytes | None:
    """Return the plot of the training curves, if the checkpoint is in its run."""
    table = checkpoint.path.parent / "metrics.csv"
    if not checkpoint.path.is_dir() or not table.is_file():
        return None
    with open_text(table, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else {}
    return curves_plot(columns, checkpoint.metadata.epoch) if rows else None


def _mistakes(measured: Measured) -> tuple[Mistake, ...]:
    """Return the most confident mistakes, the most confident first."""
    faces, labels, emotions = measured.faces, measured.labels, measured.summary.emotions
    predicted = measured.probabilities.argmax(1)
    confidence = np.where(predicted != labels, measured.probabilities.max(1), -1)
    order = [int(i) for i in np.argsort(-confidence, kind="stable")[:MISTAKES] if confidence[i] >= 0]
    return tuple(
        Mistake(faces.images[i], emotions[labels[i]], emotions[predicted[i]], float(confidence[i]), faces.paths[i])
        for i in order
    )
