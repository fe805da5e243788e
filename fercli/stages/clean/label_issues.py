"""Label issues found by the out-of-fold predictions of runs. Does not import torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.artifacts.tables import write_csv
from fercli.datasets.duplicates import Removal, ancestors
from fercli.datasets.index import SPLITS, Row
from fercli.sanitize import path_cell, word_cell
from fercli.stages.clean.confident import rank_label_issues
from fercli.stages.clean.summary import LabelIssuesSummary

LABEL_ISSUE = "label issue"
PARENT_LABEL_ISSUE = "label issue in parent"


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """An image whose label is probably wrong.

    Attributes:
        image: Its row.
        suggested: The most probable emotion other than its label.
        probabilities: Probability by emotion.
    """

    image: int
    suggested: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class LabelIssues:
    """The label issues of a dataset.

    Attributes:
        runs: Number of runs.
        emotions: The dataset's emotions, in order.
        examined: Number of images with an out-of-fold prediction, by split.
        missing: Number of images without one, since all runs were trained on them, by split.
        agreement: Share of the examined images whose label is the most probable emotion.
        found: The label issues by increasing self-confidence.
    """

    runs: int
    emotions: list[str]
    examined: dict[str, int]
    missing: dict[str, int]
    agreement: float
    found: list[LabelIssue]

    def pairs(self, rows: Sequence[Row]) -> Counter[tuple[str, str]]:
        """Count the label issues by given and suggested emotion."""
        return Counter((rows[one.image].emotion, one.suggested) for one in self.found)

    def summary(self, rows: Sequence[Row]) -> LabelIssuesSummary:
        """Return the summary that `--json` prints."""
        by_split = Counter(rows[one.image].split for one in self.found)
        pairs = self.pairs(rows)
        return LabelIssuesSummary(
            runs=self.runs,
            examined=self.examined,
            without_prediction=self.missing,
            agreement=self.agreement,
            found={split: by_split[split] for split in self.examined},
            pairs={
                given: {to: pairs[given, to] for to in self.emotions if pairs[given, to]}
                for given in self.emotions
                if any(pairs[given, to] for to in self.emotions)
            },
        )

    def report(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the label issues by path, ready for JSON."""
        return [
            {
                "path": rows[one.image].path,
                "emotion": rows[one.image].emotion,
                "suggested": one.suggested,
                "probabilities": {name: round(share, 6) for name, share in one.probabilities.items()},
            }
            for one in self.found
        ]

    def write(self, file: Path, rows: Sequence[Row]) -> None:
        """Write label_issues.csv: path, split, given and suggested emotion, self-confidence, and all probabilities."""
        emotions = map(word_cell, self.emotions)
        columns = ["path", "split", "emotion", "suggested", "self_confidence", *emotions]
        write_csv(file, columns, (self._cells(one, rows[one.image]) for one in self.found))

    def _cells(self, issue: LabelIssue, row: Row) -> list[str]:
        shares = [issue.probabilities[name] for name in (row.emotion, *self.emotions)]
        names = path_cell(row.path), *map(word_cell, (row.split, row.emotion, issue.suggested))
        return [*names, *(f"{share:.6f}" for share in shares)]


def examinable(rows: Sequence[Row], emotions: Sequence[str]) -> list[int]:
    """Return the images whose labels can be examined: real, labelled ones. Derived images inherit the label."""
    return [i for i, row in enumerate(rows) if row.origin == "real" and row.split in SPLITS and row.emotion in emotions]


def find_label_issues(
    rows: Sequence[Row],
    emotions: list[str],
    runs: int,
    predicted: dict[int, npt.NDArray[np.float64]],
) -> LabelIssues:
    """Return the label issues among the images with an out-of-fold prediction.

    Args:
        rows: The index.
        emotions: The dataset's emotions.
        runs: Number of runs.
        predicted: Probabilities of the emotions, (C,), by row.
    """
    numbers = sorted(predicted)
    labels = np.array([emotions.index(rows[i].emotion) for i in numbers], np.int64)
    probabilities = np.array([predicted[i] for i in numbers]).reshape(-1, len(emotions))
    found = []
    for place in rank_label_issues(labels, probabilities):
        others = probabilities[place].copy()
        others[labels[place]] = -1
        shares = dict(zip(emotions, probabilities[place].tolist(), strict=True))
        found.append(LabelIssue(numbers[place], emotions[int(others.argmax())], shares))
    every = Counter(rows[i].split for i in examinable(rows, emotions))
    seen = Counter(rows[i].split for i in numbers)
    splits = [split for split in SPLITS if every[split]]
    missing = {split: every[split] - seen[split] for split in splits}
    agreement = float((probabilities.argmax(1) == labels).mean())
    return LabelIssues(runs, emotions, {split: seen[split] for split in splits}, missing, agreement, found)


def drops(rows: Sequence[Row], issues: LabelIssues) -> dict[int, Removal]:
    """Return the label issues to remove from train, and the images derived from them.

    Those in validation and test are kept: a test set without the images that a model gets wrong is an easier one.
    """
    gone = {one.image for one in issues.found if rows[one.image].split == "train"}
    removed = {i: Removal(LABEL_ISSUE) for i in gone}
    for i, line in ancestors(rows).items():
        if i not in gone and gone & set(line):
            removed[i] = Removal(PARENT_LABEL_ISSUE)
    return removed
