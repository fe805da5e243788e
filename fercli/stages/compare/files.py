"""A comparison's tables: differences.csv and disagreements.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.artifacts.tables import write_csv
from fercli.sanitize import path_cell, word_cell
from fercli.stages.compare.alignment import Aligned
from fercli.stages.compare.summary import ComparisonSummary, DifferenceSummary

COMPARISON, DIFFERENCES, DISAGREEMENTS = "comparison.json", "differences.csv", "disagreements.csv"
COLUMNS = (
    "first", "second", "group", "n", "metric", "first_value", "second_value", "difference", "low", "high", "p_value",
    "corrected_p",
)  # fmt: skip


def write_differences(folder: Path, summary: ComparisonSummary) -> None:
    """Write differences.csv: a row for each pair and metric, then for each pair and group of images.

    `group` is empty for all images. Ratios and differences are in 0..1; undefined cells are empty. `corrected_p` is
    that of accuracy.
    """
    rows: list[list[object]] = []
    for pair in summary.pairs:
        for metric, one in pair.differences.items():
            corrected = pair.corrected_p if metric == "accuracy" else None
            what = map(word_cell, (pair.first, pair.second, ""))
            rows.append([*what, summary.n, word_cell(metric), *_cells(one), _number(corrected)])
    for group in summary.groups:
        what = map(word_cell, (group.first, group.second, group.group))
        rows.append([*what, group.n, "accuracy", *_cells(group.difference), ""])
    write_csv(folder / DIFFERENCES, COLUMNS, rows)


def _cells(one: DifferenceSummary) -> list[str]:
    low, high = one.interval or (None, None)
    return [_number(value) for value in (one.first, one.second, one.difference, low, high, one.p_value)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def disagreeing(data: Aligned) -> npt.NDArray[np.int64]:
    """Return the rows on which not all sides predict the same, by the mean probabilities of their runs."""
    predicted = np.stack([one.argmax(1) for one in data.mean])
    return np.flatnonzero((predicted != predicted[0]).any(0))


def write_disagreements(folder: Path, data: Aligned, names: Sequence[str]) -> None:
    """Write disagreements.csv: path, if there are several the split or the repeat, label, each side's prediction."""
    predicted = [one.argmax(1) for one in data.mean]
    emotions = [word_cell(emotion) for emotion in data.emotions]
    extra = [*(["split"] if data.splits else []), *(["repeat"] if data.fold is not None else [])]
    rows = (
        [
            path_cell(data.paths[row]),
            *([data.splits[row]] if data.splits else []),
            *([int(data.fold[row]) // data.folds + 1] if data.fold is not None else []),
            emotions[data.labels[row]],
            *(emotions[one[row]] for one in predicted),
        ]
        for row in disagreeing(data)
    )
    write_csv(folder / DISAGREEMENTS, ["path", *extra, "label", *map(word_cell, names)], rows)
