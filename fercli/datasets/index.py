"""The index of a dataset: one row per image, in `index.csv`.

Its SHA-256 is the dataset's digest; since each row contains the SHA-256 of its image's pixels, it covers them too.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from fercli.artifacts import Artifact
from fercli.artifacts.digests import digest_file
from fercli.artifacts.tables import write_csv
from fercli.datasets.affect import AFFECT
from fercli.emotions import in_order
from fercli.errors import DataError, shorten
from fercli.files import open_text
from fercli.sanitize import from_path_cell, from_word_cell, path_cell, word_cell

INDEX = "index.csv"
SPLITS = ("train", "validation", "test")
"""The splits by increasing rank: test outranks validation, validation outranks train."""
UNLABELLED = "unlabelled"
ORIGINS = ("real", "augmented", "generated")
_SHOWN = 200  # characters of a cell in an error's line

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a dataset. Columns without a value are empty.

    Attributes:
        path: Path within the dataset, with forward slashes: `<split>/<emotion>/<name>`.
        split: train, validation or test, or unlabelled.
        emotion: Emotion name; empty if unlabelled.
        votes: Annotators' votes by emotion, `angry:3 neutral:7`, if the source has them.
        source: Path within the source, or the name of the source's file.
        row: Row in the source's table, from 0.
        photograph: The photograph that a face was cropped from.
        box: `x y width height` of the face in the photograph, in pixels.
        landmarks: `x y` pairs in the photograph, in pixels.
        score: The detector's confidence.
        subject: The person, if known.
        fold: Cross-validation fold, if any.
        frame: Frame number in a video or sequence.
        face_id: Identifies a person's face across the frames of a video.
        sha256: Digest of shape and decoded pixels (`fercli.images.pixel_digest`).
        origin: real, augmented or generated.
        parent: Path of the image that an augmented one was made from.
        made: How a generated image was made, as JSON: model, revision, seed, prompt.
        valence: How pleasant the expression is, -1 to 1, if annotated (`fercli.datasets.affect`).
        arousal: How excited it is, likewise.
    """

    path: str
    split: str
    emotion: str
    votes: str = ""
    source: str = ""
    row: str = ""
    photograph: str = ""
    box: str = ""
    landmarks: str = ""
    score: str = ""
    subject: str = ""
    fold: str = ""
    frame: str = ""
    face_id: str = ""
    sha256: str = ""
    origin: str = "real"
    parent: str = ""
    made: str = ""
    valence: str = ""
    arousal: str = ""

    @property
    def fold_number(self) -> int | None:
        """The fold as a number; None if there is none, or it is not a number."""
        return _integer(self.fold)

    @property
    def frame_number(self) -> int | None:
        """The frame as a number; None if there is none, or it is not a number."""
        return _integer(self.frame)


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


COLUMNS = tuple(f.name for f in fields(Row))
_CELLS = {"source": path_cell, "photograph": path_cell, "subject": word_cell}
"""Escapes names of foreign files and people, so that spreadsheets do not run them as formulas."""


def write_index(folder: Path, rows: Iterable[Row]) -> str:
    """Write `index.csv` to `folder`, row by row, and return its SHA-256.

    The columns valence and arousal are only written if a row has them: the index of any other dataset, and so its
    digest, is the one that it had before these columns existed.

    Args:
        folder: The dataset's folder.
        rows: Its rows. Those of an iterator, which is read once, must not have valence and arousal.

    Raises:
        ValueError: one of them has.
    """
    annotated = isinstance(rows, Sequence) and any(row.valence or row.arousal for row in rows)
    columns = COLUMNS if annotated else tuple(name for name in COLUMNS if name not in AFFECT)
    write_csv(folder / INDEX, columns, (_cells(row, columns) for row in rows))
    return digest_file(folder / INDEX)


def _cells(row: Row, columns: Sequence[str]) -> list[str]:
    if len(columns) < len(COLUMNS) and (row.valence or row.arousal):
        raise ValueError(f"{row.path}: has valence and arousal; pass a list of rows")
    return [_CELLS.get(name, str)(getattr(row, name)) for name in columns]


def read_index(dataset: Artifact) -> list[Row]:
    """Read a dataset's index, after checking it against the manifest's digest.

    Raises:
        DataError: it is missing, was modified, or has unknown columns.
    """
    path = dataset.path / INDEX
    if not path.is_file():
        raise DataError(f"{path}: the dataset's index is missing; re-create the dataset")
    if digest_file(path) != dataset.manifest.digest:
        raise DataError(f"{path}: was modified after the dataset was created; re-create the dataset")
    return read_rows(path)


def read_rows(path: Path) -> list[Row]:
    """Read an index without checking its digest.

    Raises:
        DataError: it cannot be read, has unknown columns, or contains an invalid or duplicate path.
    """
    known: dict[str, str] = {}
    try:
        with open_text(path, newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            _check_header(path, header)
            rows = [_row(header, values, known) for values in reader]
    except (OSError, csv.Error, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise DataError(f"{path}: cannot be read as an index ({error}); re-create the dataset") from error
    seen: set[str] = set()
    for row in rows:
        # Empty parts and dots would allow two names for one file.
        if "\0" in row.path or not {"", ".", ".."}.isdisjoint(row.path.split("/")):
            raise DataError(f"{path}: '{shorten(row.path, _SHOWN)}' is not a path within the dataset")
        if row.split not in (*SPLITS, UNLABELLED):
            raise DataError(f"{path}: '{shorten(row.split, _SHOWN)}' is not a split; re-create the dataset")
        if row.path in seen:
            raise DataError(f"{path}: '{shorten(row.path, _SHOWN)}' is listed twice; re-create the dataset")
        seen.add(row.path)
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or not {"path", "split", "emotion", "sha256"} <= set(header) or len(set(header)) < len(header):
        shown = shorten(", ".join(header), _SHOWN)
        raise DataError(f"{path}: not an index of this version of fercli (columns {shown})")


_SHARED = ("split", "emotion", "origin", "subject", "fold", "votes")


def _row(header: list[str], values: list[str], known: dict[str, str]) -> Row:
    """Create a row. Repeated values are interned, since a million rows may be in memory together."""
    given = dict(zip(header, values, strict=True))
    for name in _SHARED:
        if value := given.get(name):
            given[name] = known.setdefault(value, value)
    if given.get("photograph") == given.get("source") and "source" in given:
        given["photograph"] = given["source"]
    return _as_given(Row(**given))


def _as_given(row: Row) -> Row:
    """Return a row with foreign names unescaped."""
    if not row.source.startswith("./") and not row.photograph.startswith("./") and not row.subject.startswith("'"):
        return row
    source, photograph = from_path_cell(row.source), from_path_cell(row.photograph)
    return replace(row, source=source, photograph=photograph, subject=from_word_cell(row.subject))


def emotions_of(rows: Iterable[Row]) -> list[str]:
    """Return the emotions of the rows in canonical order."""
    return in_order({row.emotion for row in rows if row.emotion})


def count(rows: Iterable[Row], emotions: list[str]) -> Counts:
    """Count images by split and emotion: every emotion in every split that occurs, splits by rank."""
    return counted(Counter((row.split, row.emotion) for row in rows), emotions)


def counted(found: Counter[tuple[str, str]], emotions: list[str]) -> Counts:
    """Like `count`, for images that have already been counted by split and emotion."""
    splits = {split for split, _ in found}
    ordered = [s for s in SPLITS if s in splits] + sorted(splits - set(SPLITS))
    result: Counts = {}
    for split in ordered:
        names = [*emotions, *([""] if found[split, ""] else [])]
        result[split] = {name or UNLABELLED: found[split, name] for name in names}
    return result


def totals(counts: Counts) -> dict[str, int]:
    """Return the number of images by split."""
    return {split: sum(by_emotion.values()) for split, by_emotion in counts.items()}
