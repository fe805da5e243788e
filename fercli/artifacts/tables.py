"""Writing CSV files, in one dialect, with LF line endings on every system."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from fercli.artifacts import writing

Cells = Iterable[object]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Cells]) -> None:
    """Write a table row by row; it appears at `path` once complete.

    Cells are written as given: pass untrusted names through `fercli.sanitize` first.

    Args:
        path: The file.
        columns: The header.
        rows: The cells of each row, in the order of the columns.
    """
    with writing(path) as file:
        write_rows(file, [columns])
        write_rows(file, rows)


def write_rows(file: TextIO, rows: Iterable[Cells]) -> None:
    """Append rows to a file opened with `newline=""`, for tables that grow while a stage runs."""
    csv.writer(file, lineterminator="\n").writerows(rows)
