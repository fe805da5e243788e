"""The rows of a prediction as a sequence in bounded memory, backed by a temporary file."""

from __future__ import annotations

import json
import operator
import tempfile
from array import array
from collections.abc import Sequence
from typing import IO, Any, SupportsIndex, overload

from fercli.errors import FerError
from fercli.faces.base import Face
from fercli.stages.predict.rows import Row

CHUNK = 1000
"""Rows written and read together."""
IN_MEMORY = 10
"""Chunks kept in memory; later ones are written to the file."""


class Rows(Sequence[Row]):
    """A sequence of rows that supports appending.

    The first `CHUNK * IN_MEMORY` rows are kept in memory, later ones in an anonymous file in the system's temporary
    folder, which disappears with this object or the process.
    """

    def __init__(self) -> None:
        self._in_memory: list[list[Row]] = []
        self._current: list[Row] = []
        self._file: IO[bytes] | None = None
        self._ends = array("Q", [0])
        self._cached: tuple[int, list[Row]] = -1, []

    def append(self, row: Row) -> None:
        """Append a row.

        Raises:
            FerError: the temporary file cannot be written.
        """
        self._current.append(row)
        if len(self._current) == CHUNK:
            if len(self._in_memory) < IN_MEMORY:
                self._in_memory.append(self._current)
            else:
                self._store(self._current)
            self._current = []

    def __len__(self) -> int:
        return (len(self._in_memory) + len(self._ends) - 1) * CHUNK + len(self._current)

    @property
    def in_memory(self) -> int:
        """The number of rows in memory, without the chunk read last."""
        return sum(map(len, self._in_memory)) + len(self._current)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = operator.index(index)
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError("row out of range")
        return self._chunk(number // CHUNK)[number % CHUNK]

    def __repr__(self) -> str:
        return f"<{len(self):,} rows>"

    def _chunk(self, number: int) -> list[Row]:
        if number < len(self._in_memory):
            return self._in_memory[number]
        stored = number - len(self._in_memory)
        if stored == len(self._ends) - 1:
            return self._current
        if self._cached[0] != stored:
            assert self._file is not None
            self._file.seek(self._ends[stored])
            rows = json.loads(self._file.read(self._ends[stored + 1] - self._ends[stored]))
            self._cached = stored, [_from_list(values) for values in rows]
        return self._cached[1]

    def _store(self, rows: list[Row]) -> None:
        data = json.dumps([_as_list(row) for row in rows]).encode()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="fercli-")  # noqa: SIM115
            self._file.seek(self._ends[-1])
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise FerError(
                f"{tempfile.gettempdir()}: cannot store the rows ({error.strerror or error}); set TMPDIR to a folder "
                "with free space, or iterate over the rows with stream=True"
            ) from error
        self._ends.append(self._ends[-1] + len(data))


def _as_list(row: Row) -> list[Any]:
    face = row.face and [row.face.box, row.face.score, row.face.landmarks, row.face.turn]
    return [row.source, row.frame, row.time, row.index, face, row.probabilities, row.emotion, row.face_id, row.affect]


def _from_list(values: list[Any]) -> Row:
    source, frame, time, index, face, probabilities, emotion, face_id, affect = values
    if face is not None:
        box, score, landmarks, turn = face
        face = Face(tuple(box), score, None if landmarks is None else tuple(map(tuple, landmarks)), turn)
    pair = None if affect is None else (affect[0], affect[1])
    return Row(source, frame, time, index, face, tuple(probabilities), emotion, face_id, pair)
