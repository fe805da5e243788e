"""Suspected wrong labels, by the predictions of runs for the images that they were not trained on. No torch here."""

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
from fercli.stages.clean.confident import suspected

SUSPECTED = "suspected label"
PARENT_SUSPECTED = "parent's label suspected"


@dataclass(frozen=True, slots=True)
class Suspect:
    """An image whose label is probably wrong.

    Attributes:
        image: Number of its row.
        suggested: The likeliest emotion but for its label.
        probabilities: Of each emotion, by name.
    """

    image: int
    suggested: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class LabelIssues:
    """What runs say of a data set's labels.

    Attributes:
        runs: How many were asked.
        emotions: The data set's, in order.
        examined: Images with an out-of-fold prediction, by split.
        missing: Images without one, since all runs were trained on them, by split.
        agreement: Share of the examined images whose label is the likeliest emotion.
        found: The suspects, that of the lowest self-confidence first.
    """

    runs: int
    emotions: list[str]
    examined: dict[str, int]
    missing: dict[str, int]
    agreement: float
    found: list[Suspect]

    def pairs(self, rows: Sequence[Row]) -> Counter[tuple[str, str]]:
        """Return how many suspects there are by given and suggested emotion."""
        return Counter((rows[one.image].emotion, one.suggested) for one in self.found)

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the counts that `--json` prints."""
        by_split = Counter(rows[one.image].split for one in self.found)
        pairs = self.pairs(rows)
        return {
            "runs": self.runs,
            "examined": self.examined,
            "without_prediction": self.missing,
            "agreement": self.agreement,
            "found": {split: by_split[split] for split in self.examined},
            "pairs": {
                given: {to: pairs[given, to] for to in self.emotions if pairs[given, to]}
                for given in self.emotions
                if any(pairs[given, to] for to in self.emotions)
            },
        }

    def report(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the suspects by path, ready for JSON."""
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
        """Write suspects.csv: path, split, given and suggested emotion, self-confidence, and every probability."""
        emotions = map(word_cell, self.emotions)
        columns = ["path", "split", "emotion", "suggested", "self_confidence", *emotions]
        write_csv(file, columns, (self._cells(one, rows[one.image]) for one in self.found))

    def _cells(self, suspect: Suspect, row: Row) -> list[str]:
        shares = [suspect.probabilities[name] for name in (row.emotion, *self.emotions)]
        names = path_cell(row.path), *map(word_cell, (row.split, row.emotion, suspect.suggested))
        return [*names, *(f"{share:.6f}" for share in shares)]


def unseen_rows(rows: Sequence[Row], emotions: Sequence[str]) -> list[int]:
    """Return the images whose labels can be examined: real ones with a label. What is made of them has theirs."""
    return [i for i, row in enumerate(rows) if row.origin == "real" and row.split in SPLITS and row.emotion in emotions]


def judge(
    rows: Sequence[Row],
    emotions: list[str],
    runs: int,
    predicted: dict[int, npt.NDArray[np.float64]],
) -> LabelIssues:
    """Return the suspects among the images that have an out-of-fold prediction.

    Args:
        rows: The index.
        emotions: The data set's.
        runs: How many were asked.
        predicted: Probability of each of the emotions, (C,), by the number of the image's row.
    """
    numbers = sorted(predicted)
    labels = np.array([emotions.index(rows[i].emotion) for i in numbers], np.int64)
    probabilities = np.array([predicted[i] for i in numbers]).reshape(-1, len(emotions))
    found = []
    for place in suspected(labels, probabilities):
        others = probabilities[place].copy()
        others[labels[place]] = -1
        shares = dict(zip(emotions, probabilities[place].tolist(), strict=True))
        found.append(Suspect(numbers[place], emotions[int(others.argmax())], shares))
    every = Counter(rows[i].split for i in unseen_rows(rows, emotions))
    seen = Counter(rows[i].split for i in numbers)
    splits = [split for split in SPLITS if every[split]]
    missing = {split: every[split] - seen[split] for split in splits}
    agreement = float((probabilities.argmax(1) == labels).mean())
    return LabelIssues(runs, emotions, {split: seen[split] for split in splits}, missing, agreement, found)


def drops(rows: Sequence[Row], suspects: LabelIssues) -> dict[int, Removal]:
    """Return the suspects of train to take out, and the images made of them.

    Those of validation and test stay: a test set without what a model finds wrong is another, easier test set.
    """
    gone = {one.image for one in suspects.found if rows[one.image].split == "train"}
    removed = {i: Removal(SUSPECTED) for i in gone}
    for i, line in ancestors(rows).items():
        if i not in gone and gone & set(line):
            removed[i] = Removal(PARENT_SUSPECTED)
    return removed
