"""FER2013 as distributed by its challenge: one CSV of pixels.

`fer2013.csv` has the columns emotion, pixels, Usage; `icml_face_data.csv` has them in another order and with a leading
space. Usage gives the split: Training, PublicTest (validation), PrivateTest (test). `train.csv`, distributed during the
challenge, has no Usage. The CSV (301 MB) is read line by line, and each row must have 48 x 48 values from 0 to 255.

`ckextended.csv` is CK+ with the same columns and one more code: 7 is contempt.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from fercli.datasets.readers.base import ANY, ImportOptions, Item
from fercli.datasets.readers.codes import Codes, Labels, count_codes
from fercli.datasets.readers.lists import CUT_OFF, NO_LABEL, STRAY_QUOTE, cells, lines_of, too_few
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError
from fercli.files import open_file
from fercli.images import Pixels

SIDE = 48
USAGES: dict[str, str] = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
LABELS: dict[str, str] = {str(number): emotion for number, emotion in enumerate(EMOTIONS)}
COLUMNS = ("emotion", "pixels", "Usage")
PUBLISHED: dict[str, int] = {"train": 28_709, "validation": 3_589, "test": 3_589}
CODES = Codes("FER2013", LABELS)
_CKPLUS = "ckextended"
"""Prefix of CK+'s file name with these columns: its codes alone might also be FER2013 in FER+'s order."""


class Fer2013Csv:
    """The challenge's CSV, under any file name."""

    name = "fer2013-csv"
    title = "FER2013 as CSV"
    expects = "fer2013.csv or icml_face_data.csv (columns emotion, pixels, Usage), or a folder with one of them"
    published: ClassVar[dict[str, int]] = PUBLISHED
    _files: ClassVar[tuple[str, ...]] = ("fer2013.csv", "icml_face_data.csv")
    _columns: ClassVar[tuple[str, ...]] = COLUMNS
    _set: ClassVar[str] = "FER2013"
    _codes: ClassVar[Codes] = CODES
    _hint: ClassVar[str] = "; for CK+ with these columns, where 7 is contempt, use --format ckplus-csv"

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the source is, or contains, a CSV with these columns."""
        table = self._table(source)
        return table is not None and self._claims(table) and self._header(table) is not None

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the rows in order. A row with a wrong pixel count, label or usage is an item with a problem."""
        yield from self.rows(source, Labels(self._codes, options))

    def rows(self, source: Path, labels: Labels | None) -> Iterator[Item]:
        """Yield the rows in order; without `labels` the emotions are not read.

        Raises:
            DataError: it is not such a CSV, or its codes are not the dataset's.
        """
        table = self._table(source)
        if table is None:
            raise DataError(f"{source}: no CSV found; {self._set}'s is named {' or '.join(self._files)}")
        places = self._header(table)
        if places is None:
            needed = ", ".join(self._columns)
            raise DataError(f"{table}: a {self._set} CSV has the columns {needed}; this one has {shown(table)}")
        if labels is not None:
            found = count_codes(v[places[0]] for v, _ in _values(table) if v is not None and len(v) > max(places))
            labels.check(table, found, self._hint if "0" in found and labels.outside(found) == [7] else "")
        yield from _rows(table, places, labels)

    def _table(self, source: Path) -> Path | None:
        """Return the source's CSV: the source itself, or a file in it."""
        if source.is_file():
            return source
        return next((source / name for name in self._files if (source / name).is_file()), None)

    def _claims(self, table: Path) -> bool:
        """Return whether a CSV with these columns is this dataset, by its file name."""
        return not table.name.lower().startswith(_CKPLUS)

    def _header(self, table: Path) -> tuple[int, ...] | None:
        """Return the positions of emotion, pixels and, if expected, Usage; None if one is missing."""
        names = [name.lower() for name in first_line(table)]
        needed = [name.lower() for name in self._columns]
        return tuple(map(names.index, needed)) if set(needed) <= set(names) else None


class CkPlusCsv(Fer2013Csv):
    """CK+ with FER2013's columns."""

    name = "ckplus-csv"
    title = "CK+ as CSV with FER2013's columns"
    expects = "ckextended.csv (columns emotion, pixels, Usage; 7 is contempt), or a folder with it"
    # 920 faces: 45 angry, 59 disgust, 25 fear, 69 happy, 28 sad, 83 surprise, 593 neutral, 18 contempt, split 80/10/10.
    published: ClassVar[dict[str, int]] = {"train": 736, "validation": 92, "test": 92}
    _files: ClassVar[tuple[str, ...]] = ("ckextended.csv",)
    _set: ClassVar[str] = "CK+"
    _codes: ClassVar[Codes] = Codes("CK+", {**LABELS, "7": CONTEMPT})
    _hint: ClassVar[str] = ""

    def _claims(self, table: Path) -> bool:
        return table.name.lower().startswith(_CKPLUS)


class Fer2013Train(Fer2013Csv):
    """The challenge's train.csv, or any CSV of pixels without splits."""

    name = "fer2013-train"
    title = "FER2013's training images as CSV, without Usage"
    expects = "train.csv (columns emotion, pixels), or a folder with it; split 80/10/10"
    published: ClassVar[dict[str, int]] = {"": PUBLISHED["train"]}
    _files: ClassVar[tuple[str, ...]] = ("train.csv",)
    _columns: ClassVar[tuple[str, ...]] = COLUMNS[:2]

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the rows in order, without splits, and one excluded item for a test.csv beside them (no labels)."""
        yield from super().read(source, options)
        if not source.is_file() and (source / "test.csv").is_file():
            yield Item("", "", "test", "test.csv", left_out=NO_LABEL, counted=False)

    def _header(self, table: Path) -> tuple[int, ...] | None:
        names = {name.lower() for name in first_line(table)}
        return None if COLUMNS[2].lower() in names else super()._header(table)


def first_line(table: Path) -> list[str]:
    """Return the column names, stripped; none if the file is not text or its first line is too long."""
    try:
        with open_file(table) as file:
            line = file.readline(4096)
        return [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), [])]
    except (UnicodeDecodeError, csv.Error):
        return []
    except OSError as error:
        raise DataError(f"{table}: {error.strerror or error}") from error


def shown(table: Path) -> str:
    """Return the first column names of a table, for messages."""
    return ", ".join(repr(name[:40]) for name in first_line(table)[:8]) or "no header"


def _values(table: Path) -> Iterator[tuple[list[str] | None, str]]:
    """Yield the values of each row below the header, or None and the reason why the row cannot be read."""
    lines = lines_of(table)
    next(lines, None)
    for line in lines:
        values = cells(line) if line else None
        why = "row cut off" if line and too_few(line) == CUT_OFF else STRAY_QUOTE
        yield values, "row unreadable" if values is None else why


def _rows(table: Path, places: tuple[int, ...], labels: Labels | None) -> Iterator[Item]:
    for row, (values, why) in enumerate(_values(table)):
        item = Item("", "", f"{row:05d}", table.name, row=row)
        if values is None or len(values) <= max(places):
            item.problem = why
            yield item
            continue
        usage = values[places[2]].strip() if len(places) > 2 else None
        item.split = USAGES.get(usage, "") if usage is not None else ""
        item.pixels = parse_pixels(values[places[1]])
        item.emotion, problem, item.left_out = labels.of(values[places[0]]) if labels else ("", "", "")
        if usage is not None and not item.split:
            problem = "unknown usage"
        item.problem = problem or ("" if item.pixels is not None else "wrong pixels")
        yield item


def parse_pixels(text: str) -> Pixels | None:
    """Return the 48 x 48 pixels of a row, or None if they are not 2,304 integers from 0 to 255.

    numpy's text parser is four times faster than splitting, but accepts more than digits (signs, fractions), so the
    characters are checked first.
    """
    clean = text.strip()
    if not clean.isascii() or clean.encode().translate(None, b"0123456789 "):
        return None
    values = np.fromstring(clean, dtype=np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(SIDE, SIDE)
