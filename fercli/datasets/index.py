"""The index of a data set: one row an image, in `index.csv`.

Its SHA-256 is the data set's digest; since each row holds the SHA-256 of its image's pixels, the digest stands for all.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from fercli.artifacts import Artifact
from fercli.artifacts.digests import digest_file
from fercli.artifacts.tables import write_csv
from fercli.emotions import in_order
from fercli.errors import DataError, shorten
from fercli.files import open_text
from fercli.sanitize import from_path_cell, from_word_cell, path_cell, word_cell

INDEX = "index.csv"
SPLITS = ("train", "validation", "test")
"""The splits in order of rank: test outranks validation, validation outranks train."""
UNLABELLED = "unlabelled"
ORIGINS = ("real", "augmented", "generated")
_SHOWN = 200  # characters of a cell in an error's line

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a data set. Columns without a value stay empty.

    Attributes:
        path: Place within the data set, with forward slashes: `<split>/<emotion>/<name>`.
        split: train, validation or test, or unlabelled.
        emotion: Its emotion by name; empty where unlabelled.
        votes: Annotators' votes by emotion, `angry:3 neutral:7`, where the source has them.
        source: What the source calls it: a path within the source, or its file's name.
        row: Row in the source's table, from 0.
        photograph: The photograph a face was cut from.
        box: `x y width height` of the face in the photograph, pixels.
        landmarks: `x y` pairs in the photograph, pixels.
        score: The detector's confidence.
        subject: The person, where the source names them.
        fold: Cross-validation fold, where the source has one.
        frame: Frame of a video or sequence.
        face_id: One person's face over the frames of a video.
        sha256: Of shape and decoded pixels (`fercli.images.pixel_digest`).
        origin: real, augmented or generated.
        parent: Path of the image an augmented one was made from.
        made: How a generated one was made, as JSON: model, revision, seed, prompt.
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


COLUMNS = tuple(f.name for f in fields(Row))
_CELLS = {"source": path_cell, "photograph": path_cell, "subject": word_cell}
"""Of the columns that hold what others called their files and people: how a spreadsheet is kept from running it."""


def write_index(folder: Path, rows: Iterable[Row]) -> str:
    """Write `index.csv` in `folder`, row by row, and return its SHA-256."""
    cells = ([_CELLS.get(name, str)(getattr(row, name)) for name in COLUMNS] for row in rows)
    write_csv(folder / INDEX, COLUMNS, cells)
    return digest_file(folder / INDEX)


def read_index(dataset: Artifact) -> list[Row]:
    """Read a data set's index, after checking that it is the one the manifest tells of.

    Raises:
        DataError: it is missing, was changed, or has an unknown layout.
    """
    path = dataset.path / INDEX
    if not path.is_file():
        raise DataError(f"{path}: the data set's index is missing; make the data set anew")
    if digest_file(path) != dataset.manifest.digest:
        raise DataError(f"{path}: was changed after the data set was made; make the data set anew")
    return read_rows(path)


def read_rows(path: Path) -> list[Row]:
    """Read an index as it is now, whatever the manifest says of it.

    Raises:
        DataError: it cannot be read, has an unknown layout, or a path in it is odd or stands there twice.
    """
    known: dict[str, str] = {}
    try:
        with open_text(path, newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            _check_header(path, header)
            rows = [_row(header, values, known) for values in reader]
    except (OSError, csv.Error, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise DataError(f"{path}: cannot be read as an index ({error}); make the data set anew") from error
    seen: set[str] = set()
    for row in rows:
        # A part that is empty or a dot would give one file two names.
        if "\0" in row.path or not {"", ".", ".."}.isdisjoint(row.path.split("/")):
            raise DataError(f"{path}: '{shorten(row.path, _SHOWN)}' lies outside the data set")
        if row.split not in (*SPLITS, UNLABELLED):
            raise DataError(f"{path}: '{shorten(row.split, _SHOWN)}' is no split; make the data set anew")
        if row.path in seen:
            raise DataError(f"{path}: '{shorten(row.path, _SHOWN)}' stands there twice; make the data set anew")
        seen.add(row.path)
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or not {"path", "split", "emotion", "sha256"} <= set(header) or len(set(header)) < len(header):
        shown = shorten(", ".join(header), _SHOWN)
        raise DataError(f"{path}: not an index of this version of fercli (columns {shown})")


_SHARED = ("split", "emotion", "origin", "subject", "fold", "votes")


def _row(header: list[str], values: list[str], known: dict[str, str]) -> Row:
    """Make a row; what many rows say is held once, since a million of them are in memory together."""
    given = dict(zip(header, values, strict=True))
    for name in _SHARED:
        if value := given.get(name):
            given[name] = known.setdefault(value, value)
    if given.get("photograph") == given.get("source") and "source" in given:
        given["photograph"] = given["source"]
    return _as_given(Row(**given))


def _as_given(row: Row) -> Row:
    """Return a row with what others called their files and people, as they called them."""
    if not row.source.startswith("./") and not row.photograph.startswith("./") and not row.subject.startswith("'"):
        return row
    source, photograph = from_path_cell(row.source), from_path_cell(row.photograph)
    return replace(row, source=source, photograph=photograph, subject=from_word_cell(row.subject))


def emotions_of(rows: Iterable[Row]) -> list[str]:
    """Return the emotions that occur, in canonical order."""
    return in_order({row.emotion for row in rows if row.emotion})


def count(rows: Iterable[Row], emotions: list[str]) -> Counts:
    """Return the images by split and emotion: every emotion in every split that occurs, splits in order of rank."""
    return counted(Counter((row.split, row.emotion) for row in rows), emotions)


def counted(found: Counter[tuple[str, str]], emotions: list[str]) -> Counts:
    """Return what `count` does, of images that were counted by split and emotion as they came."""
    splits = {split for split, _ in found}
    ordered = [s for s in SPLITS if s in splits] + sorted(splits - set(SPLITS))
    result: Counts = {}
    for split in ordered:
        names = [*emotions, *([""] if found[split, ""] else [])]
        result[split] = {name or UNLABELLED: found[split, name] for name in names}
    return result


def totals(counts: Counts) -> dict[str, int]:
    """Return the images by split."""
    return {split: sum(by_emotion.values()) for split, by_emotion in counts.items()}
