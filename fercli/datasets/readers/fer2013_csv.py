"""FER2013 as its challenge gave it out: one CSV of pixels.

`fer2013.csv` has the columns emotion, pixels, Usage; `icml_face_data.csv` has them in another order and with a leading
space. Usage names the split: Training, PublicTest (validation), PrivateTest (test). The CSV is read line by line
(301 MB), and each row must hold 48 x 48 values from 0 to 255.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from fercli.datasets.readers.base import ANY, Item, Wanted
from fercli.emotions import EMOTIONS
from fercli.errors import DataError
from fercli.files import open_file, open_text
from fercli.images import Pixels

SIDE = 48
USAGES: dict[str, str] = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
LABELS: dict[str, str] = {str(number): emotion for number, emotion in enumerate(EMOTIONS)}
COLUMNS = ("emotion", "pixels", "Usage")
PUBLISHED: dict[str, int] = {"train": 28_709, "validation": 3_589, "test": 3_589}


class Fer2013Csv:
    """The challenge's CSV, under any file name."""

    name = "fer2013-csv"
    title = "FER2013 as CSV"
    wants = "fer2013.csv or icml_face_data.csv (columns emotion, pixels, Usage), or a folder with one of them"
    published: ClassVar[dict[str, int]] = PUBLISHED

    def recognises(self, source: Path, wanted: Wanted = ANY) -> bool:
        """Tell whether the source is, or holds, a CSV whose header names the columns."""
        table = _table(source)
        if table is None:
            return False
        if table.suffix.lower() == ".csv" and not source.is_dir():
            return True
        return _header(table) is not None

    def read(self, source: Path, wanted: Wanted = ANY) -> Iterator[Item]:
        """Yield the rows in order. A row with a wrong pixel count, label or usage is an item with a problem."""
        table = _table(source)
        if table is None:
            raise DataError(f"{source}: no CSV here; FER2013's is called fer2013.csv or icml_face_data.csv")
        places = _header(table)
        if places is None:
            raise DataError(f"{table}: a FER2013 CSV has the columns {', '.join(COLUMNS)}; this has {_columns(table)}")
        try:
            yield from _rows(table, places)
        except OSError as error:
            raise DataError(f"{table}: {error.strerror or error}") from error


def _table(source: Path) -> Path | None:
    """Return the CSV that the source is or holds."""
    if source.is_file():
        return source
    for name in ("fer2013.csv", "icml_face_data.csv"):
        if (source / name).is_file():
            return source / name
    return None


def first_line(table: Path) -> list[str]:
    """Return the header's names, stripped; nothing where the file is no text or its first line is endless."""
    with open_file(table) as file:
        line = file.readline(4096)
    try:
        return [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), [])]
    except (UnicodeDecodeError, csv.Error):
        return []


def _columns(table: Path) -> str:
    return ", ".join(repr(name[:40]) for name in first_line(table)[:8]) or "no header"


def _header(table: Path) -> tuple[int, int, int] | None:
    """Return the places of emotion, pixels and Usage, or None where one is missing."""
    names = [name.lower() for name in first_line(table)]
    wanted = [name.lower() for name in COLUMNS]
    if not set(wanted) <= set(names):
        return None
    return (names.index(wanted[0]), names.index(wanted[1]), names.index(wanted[2]))


def _rows(table: Path, places: tuple[int, int, int]) -> Iterator[Item]:
    emotion_at, pixels_at, usage_at = places
    # A byte that is no UTF-8 spoils its own row alone.
    with open_text(table, "utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for row, values in enumerate(lines(reader)):
            item = Item("", "", f"{row:05d}", table.name, row=row)
            if values is None or len(values) <= max(places):
                item.problem = "row unreadable" if values is None else "row cut off"
                yield item
                continue
            label, usage = values[emotion_at].strip(), values[usage_at].strip()
            item.split = USAGES.get(usage, "")
            item.emotion = LABELS.get(label, "")
            item.pixels = _parse(values[pixels_at])
            if not item.split:
                item.problem = "unknown usage"
            elif not item.emotion:
                item.problem = "unknown label"
            elif item.pixels is None:
                item.problem = "wrong pixels"
            yield item


def lines(reader: Iterator[list[str]]) -> Iterator[list[str] | None]:
    """Yield the values of each row, None for one that csv gives up (too long, say); an empty line is no row."""
    while True:
        try:
            values = next(reader, None)
            if values is None:
                return
        except csv.Error:
            yield None
            continue
        if values:
            yield values


def _parse(text: str) -> Pixels | None:
    """Return the 48 x 48 pixels of a row, or None where they are not 2,304 whole numbers from 0 to 255.

    numpy's text parser is four times faster than splitting, but it takes more than digits (signs, fractions), so the
    characters are checked first.
    """
    clean = text.strip()
    if clean.encode().translate(None, b"0123456789 "):
        return None
    values = np.fromstring(clean, dtype=np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(SIDE, SIDE)
