"""The table that rows go into."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from fercli.artifacts import publish, temporary_beside
from fercli.artifacts.staging import locked
from fercli.artifacts.tables import write_rows
from fercli.files import open_text
from fercli.stages.predict.outputs import check_replaceable, told
from fercli.stages.predict.rows import COLUMNS, Row, inert

_ALWAYS = [name for name in COLUMNS if name != "face_id"]
"""The columns of all tables that were ever written."""


class Table:
    """A CSV file of rows, written as they come beside its place, and renamed when it is whole.

    Args:
        path: Where; None: nowhere.
        emotions: The model's, in order.
        overwrite: Replace a table of ours that stands there.

    Raises:
        UsageError: something stands there, and `overwrite` is not set.
        DataError: what stands there is no table of predictions, or another call writes there.
        FerError: the place cannot be written.
    """

    def __init__(self, path: Path | None, emotions: Sequence[str], overwrite: bool) -> None:
        self._path, self._emotions, self._overwrite = path, list(emotions), overwrite
        self._file: TextIO | None = None
        self._open = ExitStack()
        self.check()

    def check(self) -> None:
        """Refuse a place that is taken."""
        if self._path is not None:
            check_replaceable("--csv", self._path, self._overwrite, is_table(self._path), "table")

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        if self._file is not None and self._path is not None:
            with told("--csv", self._path):
                write_rows(self._file, (row.cells(len(self._emotions)) for row in rows))

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        with told("--csv", self._path), ExitStack() as opened:
            opened.enter_context(locked(self._path))
            self._beside = opened.enter_context(temporary_beside(self._path))
            self._file = opened.enter_context(self._beside.open("w", encoding="utf-8", newline=""))
            write_rows(self._file, [[*COLUMNS, *map(inert, self._emotions)]])
            self._open = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._path is None or self._file is None:
            return
        with told("--csv", self._path), self._open:
            if kind is None:
                self.check()  # it may have come while we worked
                self._file.flush()
                publish(self._beside, self._path)


def is_table(path: Path) -> bool:
    """Tell by its header whether a file is a table of `fer predict`."""
    try:
        with open_text(path, errors="replace", newline="") as file:
            header = next(csv.reader([file.readline(10_000)]), [])
    except (OSError, csv.Error):
        return False
    return [name for name in header if name != "face_id"][: len(_ALWAYS)] == _ALWAYS
