"""The evaluation's pictures and its page."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fercli import __version__
from fercli.artifacts import Artifact, open_artifact, write_text
from fercli.building import Job, now
from fercli.lineage import ancestors
from fercli.metrics.curves import roc_curves
from fercli.models.checkpoints import Checkpoint
from fercli.packs.file import PackSplit
from fercli.report.figures import confusion_figure, curves_figure, roc_figure
from fercli.report.page import EvaluationPage, EvaluationSummary, LineageItem, Mistake, evaluation_page

MISTAKES = 36
"""Mistakes that a page shows."""


def write_page(
    job: Job,
    checkpoint: Checkpoint,
    pack: Artifact,
    faces: PackSplit,
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float32],
    summary: dict[str, Any],
    device: str,
) -> None:
    """Write confusion.png and report.html into the evaluation's folder."""
    emotions = checkpoint.card.emotions
    low, high = summary["accuracy_interval"]
    title = (
        f"{checkpoint.card.architecture} on {summary['split']}, n = {summary['n']:,}\n"
        f"accuracy {summary['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"
    )
    confusion = confusion_figure(np.array(summary["confusion"], np.int64), emotions, title)
    (job.folder / "confusion.png").write_bytes(confusion)
    leaks = pack.manifest.summary.get("leaks", 0)
    notes = (f"The pack was written with {leaks:,} pairs of equal pictures in two splits.",) if leaks else ()
    page = EvaluationPage(
        title=f"{checkpoint.card.architecture} on the {summary['split']} split",
        summary=cast(EvaluationSummary, summary),
        confusion_picture=confusion,
        roc_picture=roc_figure(roc_curves(labels, probabilities, emotions)),
        curves_picture=_curves(checkpoint.path.parent / "metrics.csv", checkpoint.card.epoch),
        mistakes=_mistakes(faces, labels, probabilities, emotions),
        lineage=_lineage(checkpoint, pack),
        command=job.manifest.command,
        version=__version__,
        device=device,
        ended=now(),
        notes=notes,
    )
    write_text(job.folder / "report.html", evaluation_page(page))


def _curves(table: Path, best_epoch: int) -> bytes | None:
    """Return the picture of the run's training, where the checkpoint stands in its run."""
    if not table.is_file():
        return None
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return curves_figure({name: [float(row[name]) for row in rows] for name in rows[0]}, best_epoch) if rows else None


def _mistakes(
    faces: PackSplit, labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32], emotions: list[str]
) -> tuple[Mistake, ...]:
    """Return the most confident mistakes, the most confident first."""
    predicted = probabilities.argmax(1)
    confidence = np.where(predicted != labels, probabilities.max(1), -1)
    order = [int(i) for i in np.argsort(-confidence, kind="stable")[:MISTAKES] if confidence[i] >= 0]
    return tuple(
        Mistake(faces.images[i], emotions[labels[i]], emotions[predicted[i]], float(confidence[i]), faces.paths[i])
        for i in order
    )


def _lineage(checkpoint: Checkpoint, pack: Artifact) -> tuple[LineageItem, ...]:
    """Return the run, the pack and everything they were made from, nearest first, each once."""
    run = checkpoint.path.parent
    starts = [open_artifact(run, "run")] if (run / "artifact.json").is_file() else []
    items: dict[str, LineageItem] = {}
    for start in [*starts, pack]:
        m = start.manifest
        items[m.digest] = LineageItem(m.kind, start.path.as_posix(), m.digest, m.command, m.started, m.ended)
        for one in ancestors(start):
            n = one.manifest
            known = (n.command, n.started, n.ended) if n else ("", "", "")
            items.setdefault(one.input.digest, LineageItem(one.input.kind, one.path.name, one.input.digest, *known))
    return tuple(items.values())
