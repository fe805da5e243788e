"""FER2013 as its challenge gave it out: one CSV of pixels.

`fer2013.csv` has the columns emotion, pixels, Usage; `icml_face_data.csv` has them in another order and with a leading
space. Usage names the split: Training, PublicTest (validation), PrivateTest (test). `train.csv`, what was given out
while the challenge ran, has no Usage. The CSV is read line by line (301 MB), and each row must hold 48 x 48 values from
0 to 255.

`ckextended.csv` is CK+ in the same columns, with a code more: 7 is contempt.
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
"""What CK+ in these columns is called: by its codes it might as well be FER2013 in FER+'s order."""


class Fer2013Csv:
    """The challenge's CSV, under any file name."""

    name = "fer2013-csv"
    title = "FER2013 as CSV"
    wants = "fer2013.csv or icml_face_data.csv (columns emotion, pixels, Usage), or a folder with one of them"
    published: ClassVar[dict[str, int]] = PUBLISHED
    _files: ClassVar[tuple[str, ...]] = ("fer2013.csv", "icml_face_data.csv")
    _columns: ClassVar[tuple[str, ...]] = COLUMNS
    _set: ClassVar[str] = "FER2013"
    _codes: ClassVar[Codes] = CODES
    _hint: ClassVar[str] = "; CK+ in these columns, where 7 is contempt, is --format ckplus-csv"

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether the source is, or holds, a CSV whose header names the columns."""
        table = self._table(source)
        return table is not None and self._claims(table) and self._header(table) is not None

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the rows in order. A row with a wrong pixel count, label or usage is an item with a problem."""
        yield from self.rows(source, Labels(self._codes, wanted))

    def rows(self, source: Path, labels: Labels | None) -> Iterator[Item]:
        """Yield the rows in order; without `labels` the emotions are not read.

        Raises:
            DataError: it is no such CSV, or its codes are not the set's.
        """
        table = self._table(source)
        if table is None:
            raise DataError(f"{source}: no CSV here; {self._set}'s is called {' or '.join(self._files)}")
        places = self._header(table)
        if places is None:
            wanted = ", ".join(self._columns)
            raise DataError(f"{table}: a {self._set} CSV has the columns {wanted}; this has {shown(table)}")
        if labels is not None:
            found = count_codes(v[places[0]] for v, _ in _values(table) if v is not None and len(v) > max(places))
            labels.check(table, found, self._hint if "0" in found and labels.outside(found) == [7] else "")
        yield from _rows(table, places, labels)

    def _table(self, source: Path) -> Path | None:
        """Return the CSV that the source is or holds."""
        if source.is_file():
            return source
        return next((source / name for name in self._files if (source / name).is_file()), None)

    def _claims(self, table: Path) -> bool:
        """Tell whether a CSV of these columns is this set, by its name."""
        return not table.name.lower().startswith(_CKPLUS)

    def _header(self, table: Path) -> tuple[int, ...] | None:
        """Return the places of emotion, pixels and, where there is one, Usage; None where one is missing."""
        names = [name.lower() for name in first_line(table)]
        wanted = [name.lower() for name in self._columns]
        return tuple(map(names.index, wanted)) if set(wanted) <= set(names) else None


class CkPlusCsv(Fer2013Csv):
    """CK+ in FER2013's columns."""

    name = "ckplus-csv"
    title = "CK+ as CSV in FER2013's columns"
    wants = "ckextended.csv (columns emotion, pixels, Usage; 7 is contempt), or a folder with it"
    # 920 faces: 45 angry, 59 disgust, 25 fear, 69 happy, 28 sad, 83 surprise, 593 neutral, 18 contempt, cut 80/10/10.
    published: ClassVar[dict[str, int]] = {"train": 736, "validation": 92, "test": 92}
    _files: ClassVar[tuple[str, ...]] = ("ckextended.csv",)
    _set: ClassVar[str] = "CK+"
    _codes: ClassVar[Codes] = Codes("CK+", {**LABELS, "7": CONTEMPT})
    _hint: ClassVar[str] = ""

    def _claims(self, table: Path) -> bool:
        return table.name.lower().startswith(_CKPLUS)


class Fer2013Train(Fer2013Csv):
    """The challenge's train.csv, or any CSV of pixels that names no splits."""

    name = "fer2013-train"
    title = "FER2013's training images as CSV, without Usage"
    wants = "train.csv (columns emotion, pixels), or a folder with it; split 80/10/10"
    published: ClassVar[dict[str, int]] = {"": PUBLISHED["train"]}
    _files: ClassVar[tuple[str, ...]] = ("train.csv",)
    _columns: ClassVar[tuple[str, ...]] = COLUMNS[:2]

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the rows in order, their split left open; of test.csv beside them, whose labels are not in it, one."""
        yield from super().read(source, wanted)
        if not source.is_file() and (source / "test.csv").is_file():
            yield Item("", "", "test", "test.csv", left_out=NO_LABEL, counted=False)

    def _header(self, table: Path) -> tuple[int, ...] | None:
        names = {name.lower() for name in first_line(table)}
        return None if COLUMNS[2].lower() in names else super()._header(table)


def first_line(table: Path) -> list[str]:
    """Return the header's names, stripped; nothing where the file is no text or its first line is endless."""
    try:
        with open_file(table) as file:
            line = file.readline(4096)
        return [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), [])]
    except (UnicodeDecodeError, csv.Error):
        return []
    except OSError as error:
        raise DataError(f"{table}: {error.strerror or error}") from error


def shown(table: Path) -> str:
    """Return the first names of a table's header, for people."""
    return ", ".join(repr(name[:40]) for name in first_line(table)[:8]) or "no header"


def _values(table: Path) -> Iterator[tuple[list[str] | None, str]]:
    """Yield the values of each row below the header, or None and why it has none that can be read."""
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
        item.pixels = _parse(values[places[1]])
        item.emotion, problem, item.left_out = labels.of(values[places[0]]) if labels else ("", "", "")
        if usage is not None and not item.split:
            problem = "unknown usage"
        item.problem = problem or ("" if item.pixels is not None else "wrong pixels")
        yield item


def _parse(text: str) -> Pixels | None:
    """Return the 48 x 48 pixels of a row, or None where they are not 2,304 whole numbers from 0 to 255.

    numpy's text parser is four times faster than splitting, but it takes more than digits (signs, fractions), so the
    characters are checked first.
    """
    clean = text.strip()
    if not clean.isascii() or clean.encode().translate(None, b"0123456789 "):
        return None
    values = np.fromstring(clean, dtype=np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(SIDE, SIDE)
