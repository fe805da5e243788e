"""Metrics on corrupted copies of a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.artifacts.tables import write_csv
from fercli.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from fercli.evaluation.part_summaries import CorruptionCurve, CorruptionsSummary
from fercli.images import Pixels, as_color, encode_png, fit_square
from fercli.metrics.confusion import confusion_matrix, macro_f1
from fercli.metrics.intervals import wilson_interval

Labels = npt.NDArray[np.int64]
Predict = Callable[[Pixels], npt.NDArray[np.floating[Any]]]

SHEET_SIDE = 96
"""Side of the faces of the contact sheet, pixels."""


def measure_corruptions(
    names: Sequence[str], faces: Pixels, labels: Labels, clean_accuracy: float, classes: int, predict: Predict
) -> CorruptionsSummary:
    """Return the metrics on copies of a split under each corruption, at each strength.

    Args:
        names: Names in CORRUPTIONS.
        faces: uint8 (N, S, S) or (N, S, S, 3).
        labels: (N,).
        clean_accuracy: The accuracy on the faces as they are.
        classes: Number of classes.
        predict: Returns the probabilities (N, classes) of faces.
    """
    curves: dict[str, CorruptionCurve] = {}
    for name in names:
        matrices = [
            confusion_matrix(labels, predict(corrupt(faces, name, strength)).argmax(1), classes)
            for strength in STRENGTHS
        ]
        right = [int(np.trace(matrix)) for matrix in matrices]
        curves[name] = CorruptionCurve(
            accuracy=[k / len(labels) for k in right],
            accuracy_interval=[list(wilson_interval(k, len(labels))) for k in right],
            macro_f1=[macro_f1(matrix) for matrix in matrices],
            error=1 - sum(right) / (len(labels) * len(right)),
        )
    mean, clean = float(np.mean([curve.error for curve in curves.values()])), 1 - clean_accuracy
    return CorruptionsSummary(
        clean_error=clean,
        mean_error=mean,
        added_error=mean - clean,
        relative_error=mean / clean if clean else None,
        corruptions=curves,
    )


def write_corruptions(file: Path, summary: CorruptionsSummary, n: int) -> None:
    """Write corruptions.csv: corruption, strength, its parameter's value, n, accuracy with its interval, macro F1."""
    rows = (
        [name, strength, f"{CORRUPTIONS[name].values[at]:g}", n, *(f"{value:.6f}" for value in (accuracy, *ends, f1))]
        for name, curve in summary.corruptions.items()
        for at, (strength, accuracy, ends, f1) in enumerate(
            zip(STRENGTHS, curve.accuracy, curve.accuracy_interval, curve.macro_f1, strict=True)
        )
    )
    write_csv(file, ["corruption", "strength", "value", "n", "accuracy", "low", "high", "macro_f1"], rows)


def corruptions_sheet(names: Sequence[str], face: Pixels) -> bytes:
    """Return a contact sheet (PNG) of a face under each corruption, at strengths 0 (as it is) to 5.

    Args:
        names: Names in CORRUPTIONS.
        face: uint8 (S, S) or (S, S, 3).
    """
    from fercli.report.contact_sheet import Cell, Group, contact_sheet

    groups = [
        Group([Cell(_cell(corrupt(face[None], name, strength)[0])) for strength in (0, *STRENGTHS)], label=name)
        for name in names
    ]
    title = "One face at strength 0 (as it is) to 5"
    return encode_png(contact_sheet(groups, columns=len(STRENGTHS) + 1, title=title))


def _cell(face: Pixels) -> Pixels:
    return as_color(fit_square(face, SHEET_SIDE), "rgb")
