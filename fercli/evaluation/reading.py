"""Reading predictions.csv of an evaluation or a cross-validation, as untrusted as any file. Imported without torch."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Artifact
from fercli.artifacts.digests import digest_file
from fercli.datasets.affect import AFFECT_COLUMNS
from fercli.errors import DataError, shorten
from fercli.files import open_text
from fercli.sanitize import from_path_cell, from_word_cell

PREDICTIONS = "predictions.csv"
_SHOWN = 80  # characters of a cell in an error's line
_TOLERANCE = 1e-3  # of a sum of probabilities, which are written with six digits
_LARGEST = 1_000_000  # a fold's or repeat's number


@dataclass(frozen=True)
class Predictions:
    """The probabilities predicted for N images.

    Attributes:
        file: Where they were read from, for messages.
        emotions: The C emotions, in the order of the columns.
        paths: N paths within the dataset.
        labels: (N,), indices into the emotions.
        probabilities: (N, C).
        splits: The split of each image, if several were predicted together.
        repeats: The repeat of a cross-validation, (N,), from 1; None otherwise.
        folds: The fold that held the image out, (N,), from 1; None otherwise.
    """

    file: Path
    emotions: tuple[str, ...]
    paths: list[str]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    splits: list[str] | None = None
    repeats: npt.NDArray[np.int64] | None = None
    folds: npt.NDArray[np.int64] | None = None

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The predicted classes, (N,)."""
        return np.asarray(self.probabilities.argmax(1), np.int64)

    @property
    def keys(self) -> list[tuple[str, str, int]]:
        """What identifies each row: path, split (or '') and repeat (or 0)."""
        splits = self.splits or [""] * len(self.paths)
        repeats = self.repeats.tolist() if self.repeats is not None else [0] * len(self.paths)
        return list(zip(self.paths, splits, repeats, strict=True))

    def reordered(self, rows: Sequence[int], emotions: Sequence[str]) -> Predictions:
        """Return the given rows in the given order, with the columns in the order of `emotions`, which are the same."""
        taken = np.asarray(rows, np.int64)
        columns = np.array([self.emotions.index(emotion) for emotion in emotions], np.int64)
        place = np.argsort(columns)
        return replace(
            self,
            emotions=tuple(emotions),
            paths=[self.paths[row] for row in rows],
            labels=place[self.labels[taken]],
            probabilities=self.probabilities[np.ix_(taken, columns)],
            splits=[self.splits[row] for row in rows] if self.splits else None,
            repeats=None if self.repeats is None else self.repeats[taken],
            folds=None if self.folds is None else self.folds[taken],
        )


def read_predictions(artifact: Artifact) -> Predictions:
    """Read the predictions of an evaluation or a cross-validation, after checking them against its manifest.

    Raises:
        DataError: the file is missing, was modified, or does not hold valid predictions.
    """
    path = check_unmodified(artifact, PREDICTIONS)
    try:
        with open_text(path, newline="") as file:
            return _parse(path, csv.reader(file))
    except (OSError, csv.Error, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise DataError(f"{path}: cannot be read as predictions ({error}); re-create it") from error


def check_unmodified(artifact: Artifact, name: str) -> Path:
    """Return the path of an artifact's file, whose digest the manifest lists.

    Raises:
        DataError: the file is missing or was modified.
    """
    path = artifact.path / name
    try:
        found = digest_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); re-create the {artifact.manifest.kind}") from error
    if artifact.manifest.files.get(name, found) != found:
        raise DataError(f"{path}: was modified after it was written; re-create the {artifact.manifest.kind}")
    return path


def _parse(path: Path, rows: Iterator[list[str]]) -> Predictions:
    header = next(rows, [])
    if header[:1] != ["path"] or "label" not in header:
        raise ValueError(f"columns {shorten(', '.join(header), _SHOWN) or 'missing'}")
    at = header.index("label")
    end = len(header) - (len(AFFECT_COLUMNS) if tuple(header[-len(AFFECT_COLUMNS) :]) == AFFECT_COLUMNS else 0)
    given, emotions = header[1:at], tuple(map(from_word_cell, header[at + 1 : end]))
    if given not in ([], ["split"], ["repeat", "fold"]) or len(emotions) < 2 or len(set(emotions)) < len(emotions):
        raise ValueError(f"columns {shorten(', '.join(header), _SHOWN)}")
    index = {emotion: number for number, emotion in enumerate(emotions)}
    paths, before, labels, values = [], [], [], []
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"line {line} has {len(row)} cells, not {len(header)}")
        if (label := index.get(from_word_cell(row[at]))) is None:
            raise ValueError(f"line {line}: '{shorten(row[at], _SHOWN)}' is not one of its emotions")
        paths.append(from_path_cell(row[0]))
        before.append(row[1:at])
        labels.append(label)
        values.append([float(cell) for cell in row[at + 1 : end]])
    if not paths:
        raise ValueError("no images")
    probabilities = np.array(values, np.float64)
    if not ((probabilities >= 0) & (probabilities <= 1 + 1e-6)).all():  # NaN is neither
        line = 2 + int(np.flatnonzero(~((probabilities >= 0) & (probabilities <= 1 + 1e-6)).all(1))[0])
        raise ValueError(f"line {line} has a value that is not a probability")
    if (off := abs(probabilities.sum(1) - 1) > _TOLERANCE).any():
        raise ValueError(f"line {2 + int(np.flatnonzero(off)[0])} has probabilities that do not add up to 1")
    found = Predictions(path, emotions, paths, np.array(labels, np.int64), probabilities)
    if given == ["split"]:
        found = replace(found, splits=[row[0] for row in before])
    elif given:
        numbers = np.array([[int(cell) for cell in row] for row in before], np.int64)
        if numbers.min() < 1 or numbers.max() > _LARGEST:
            raise ValueError("a repeat or fold is not a number from 1")
        found = replace(found, repeats=numbers[:, 0], folds=numbers[:, 1])
    key, times = Counter(found.keys).most_common(1)[0]
    if times > 1:
        raise ValueError(f"'{shorten(key[0], _SHOWN, 'end')}' is listed twice")
    return found
