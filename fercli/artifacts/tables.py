"""Writing CSV files: one dialect for all tables, lines ending in a line feed on every system."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from fercli.artifacts import writing

Cells = Iterable[object]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Cells]) -> None:
    """Write a table row by row; it appears at `path` when it is whole.

    Cells are written as they are: names that others chose go through `fercli.sanitize` first.

    Args:
        path: The file.
        columns: The header.
        rows: The cells of each row, in the columns' order.
    """
    with writing(path) as file:
        write_rows(file, [columns])
        write_rows(file, rows)


def write_rows(file: TextIO, rows: Iterable[Cells]) -> None:
    """Append rows to an open file, for tables that grow while a stage runs; open it with `newline=""`."""
    csv.writer(file, lineterminator="\n").writerows(rows)
