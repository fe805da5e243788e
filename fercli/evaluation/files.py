"""An evaluation's files: metrics.json, predictions.csv, confusion.png and report.html."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli import __version__
from fercli.artifacts import Artifact, open_artifact, write_text
from fercli.building import Job, now
from fercli.digests import digest_file
from fercli.inert import path_cell, word_cell
from fercli.lineage import ancestors
from fercli.metrics.curves import roc_curves
from fercli.models.checkpoints import Checkpoint
from fercli.packs.file import PackSplit
from fercli.report.figures import confusion_figure, curves_figure, roc_figure
from fercli.report.page import (
    EnsembleSummary,
    EvaluationPage,
    EvaluationSummary,
    LineageItem,
    Mistake,
    evaluation_page,
)

MISTAKES = 36
"""Mistakes that a page shows."""


@dataclass(frozen=True)
class Measured:
    """A split's predictions and what they come to.

    Attributes:
        what: What was measured, in a few words: an architecture, or an ensemble.
        checkpoints: What predicted, each once.
        pack: The pack.
        faces: Its split.
        labels: (N,), indices into the summary's emotions.
        probabilities: (N, C), columns in the order of the summary's emotions.
        summary: The figures.
        device: Where it was computed.
        notes: What a reader must know besides.
    """

    what: str
    checkpoints: tuple[Checkpoint, ...]
    pack: Artifact
    faces: PackSplit
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.floating[Any]]
    summary: EvaluationSummary | EnsembleSummary
    device: str
    notes: tuple[str, ...] = ()


def finish_evaluation(job: Job, measured: Measured) -> None:
    """Write the evaluation's files into its folder, and finish its job."""
    summary = measured.summary
    write_text(job.folder / "metrics.json", json.dumps(summary, indent=1) + "\n")
    _write_predictions(job.folder / "predictions.csv", measured)
    _write_page(job, measured)
    job.finish(
        digest=digest_file(job.folder / "predictions.csv"),
        emotions=summary["emotions"],
        counts={summary["split"]: {e: summary["per_class"][e]["support"] for e in summary["emotions"]}},
        summary=summary,
        device=measured.device,
    )


def _write_predictions(file: Path, measured: Measured) -> None:
    """Write predictions.csv: path, label by name, one probability an emotion."""
    text, emotions = io.StringIO(newline=""), measured.summary["emotions"]
    writer = csv.writer(text, lineterminator="\n")
    names = [word_cell(emotion) for emotion in emotions]
    writer.writerow(["path", "label", *names])
    for path, label, row in zip(measured.faces.paths, measured.labels, measured.probabilities, strict=True):
        writer.writerow([path_cell(path), names[label], *(f"{value:.6f}" for value in row)])
    write_text(file, text.getvalue())


def _write_page(job: Job, measured: Measured) -> None:
    """Write confusion.png and report.html."""
    summary, pack = measured.summary, measured.pack
    emotions = summary["emotions"]
    low, high = summary["accuracy_interval"]
    title = (
        f"{measured.what} on {summary['split']}, n = {summary['n']:,}\n"
        f"accuracy {summary['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"
    )
    confusion = confusion_figure(np.array(summary["confusion"], np.int64), emotions, title)
    (job.folder / "confusion.png").write_bytes(confusion)
    leaks = pack.manifest.summary.get("leaks", 0)
    notes = (f"The pack was written with {leaks:,} pairs of equal pictures in two splits.",) if leaks else ()
    page = EvaluationPage(
        title=f"{measured.what} on the {summary['split']} split",
        summary=summary,
        confusion_picture=confusion,
        roc_picture=roc_figure(roc_curves(measured.labels, measured.probabilities, emotions)),
        curves_picture=_curves(*measured.checkpoints) if len(measured.checkpoints) == 1 else None,
        mistakes=_mistakes(measured),
        lineage=_lineage(measured.checkpoints, pack),
        command=job.manifest.command,
        version=__version__,
        device=measured.device,
        ended=now(),
        notes=(*notes, *measured.notes),
    )
    write_text(job.folder / "report.html", evaluation_page(page))


def _curves(checkpoint: Checkpoint) -> bytes | None:
    """Return the picture of the run's training, where the checkpoint stands in its run."""
    table = checkpoint.path.parent / "metrics.csv"
    if not table.is_file():
        return None
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else {}
    return curves_figure(columns, checkpoint.card.epoch) if rows else None


def _mistakes(measured: Measured) -> tuple[Mistake, ...]:
    """Return the most confident mistakes, the most confident first."""
    faces, labels, emotions = measured.faces, measured.labels, measured.summary["emotions"]
    predicted = measured.probabilities.argmax(1)
    confidence = np.where(predicted != labels, measured.probabilities.max(1), -1)
    order = [int(i) for i in np.argsort(-confidence, kind="stable")[:MISTAKES] if confidence[i] >= 0]
    return tuple(
        Mistake(faces.images[i], emotions[labels[i]], emotions[predicted[i]], float(confidence[i]), faces.paths[i])
        for i in order
    )


def _lineage(checkpoints: tuple[Checkpoint, ...], pack: Artifact) -> tuple[LineageItem, ...]:
    """Return the runs, the pack and everything they were made from, nearest first, each once."""
    runs = (checkpoint.path.parent for checkpoint in checkpoints)
    starts = [open_artifact(run, "run") for run in runs if (run / "artifact.json").is_file()]
    items: dict[str, LineageItem] = {}
    for start in [*starts, pack]:
        m = start.manifest
        items[m.digest] = LineageItem(m.kind, start.path.as_posix(), m.digest, m.command, m.started, m.ended)
        for one in ancestors(start):
            n = one.manifest
            known = (n.command, n.started, n.ended) if n else ("", "", "")
            items.setdefault(one.input.digest, LineageItem(one.input.kind, one.path.name, one.input.digest, *known))
    return tuple(items.values())
