"""Writing rows to a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from fercli.artifacts import publish, temporary_path
from fercli.artifacts.staging import locked
from fercli.artifacts.tables import write_rows
from fercli.files import open_text
from fercli.stages.predict.outputs import check_replaceable, disk_errors
from fercli.stages.predict.rows import COLUMNS, Row, safe_cell

_COMMON = [name for name in COLUMNS if name != "face_id"]
"""The columns common to the CSV files of all versions."""


class CsvWriter:
    """Writes rows to a temporary file as they come, and renames it to the CSV file at the end.

    Args:
        path: Path of the CSV file; None writes nothing.
        columns: The names of the model's outputs, in order: its emotions, and valence and arousal if it predicts them.
        overwrite: Replace an existing CSV file written by `fer predict`.

    Raises:
        UsageError: the path exists, and `overwrite` is not set.
        DataError: an existing file was not written by `fer predict`, or another call is writing it.
        FerError: the path cannot be written.
    """

    def __init__(self, path: Path | None, columns: Sequence[str], overwrite: bool) -> None:
        self._path, self._columns, self._overwrite = path, list(columns), overwrite
        self._file: TextIO | None = None
        self._stack = ExitStack()
        self.check()

    def check(self) -> None:
        """Refuse a path that may not be replaced."""
        if self._path is not None:
            check_replaceable("--csv", self._path, self._overwrite, is_prediction_csv(self._path))

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        if self._file is not None and self._path is not None:
            with disk_errors("--csv", self._path):
                write_rows(self._file, (row.cells(len(self._columns)) for row in rows))

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        with disk_errors("--csv", self._path), ExitStack() as stack:
            stack.enter_context(locked(self._path))
            self._temporary = stack.enter_context(temporary_path(self._path))
            self._file = stack.enter_context(self._temporary.open("w", encoding="utf-8", newline=""))
            write_rows(self._file, [[*COLUMNS, *map(safe_cell, self._columns)]])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._path is None or self._file is None:
            return
        with disk_errors("--csv", self._path), self._stack:
            if kind is None:
                self.check()  # again: it may have been created in the meantime
                self._file.flush()
                publish(self._temporary, self._path)


def is_prediction_csv(path: Path) -> bool:
    """Return whether a file's header is that of a CSV written by `fer predict`."""
    try:
        with open_text(path, errors="replace", newline="") as file:
            header = next(csv.reader([file.readline(10_000)]), [])
    except (OSError, csv.Error):
        return False
    return [name for name in header if name != "face_id"][: len(_COMMON)] == _COMMON
