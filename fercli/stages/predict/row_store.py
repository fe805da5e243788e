"""All rows of a prediction as a sequence, in bounded memory: many of them lie in a temporary file."""

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
"""Rows that are written and read together."""
IN_MEMORY = 10
"""Chunks that are held in memory; those after them go into the file."""


class Rows(Sequence[Row]):
    """Rows that can be appended, counted, indexed, sliced and iterated, as of a list.

    The first `CHUNK * IN_MEMORY` are held in memory. Later ones go into a file without a name in the system's temporary
    folder, which is gone with this object, or with the process.
    """

    def __init__(self) -> None:
        self._held: list[list[Row]] = []
        self._open: list[Row] = []
        self._file: IO[bytes] | None = None
        self._ends = array("Q", [0])
        self._last: tuple[int, list[Row]] = -1, []

    def append(self, row: Row) -> None:
        """Append a row.

        Raises:
            FerError: the temporary file cannot be written.
        """
        self._open.append(row)
        if len(self._open) == CHUNK:
            if len(self._held) < IN_MEMORY:
                self._held.append(self._open)
            else:
                self._store(self._open)
            self._open = []

    def __len__(self) -> int:
        return (len(self._held) + len(self._ends) - 1) * CHUNK + len(self._open)

    @property
    def held(self) -> int:
        """The number of rows in memory, apart from those read back last."""
        return sum(map(len, self._held)) + len(self._open)

    @overload
    def __getitem__(self, place: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = operator.index(place)
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError("row out of range")
        return self._chunk(number // CHUNK)[number % CHUNK]

    def __repr__(self) -> str:
        return f"<{len(self):,} rows>"

    def _chunk(self, number: int) -> list[Row]:
        if number < len(self._held):
            return self._held[number]
        stored = number - len(self._held)
        if stored == len(self._ends) - 1:
            return self._open
        if self._last[0] != stored:
            assert self._file is not None
            self._file.seek(self._ends[stored])
            found = json.loads(self._file.read(self._ends[stored + 1] - self._ends[stored]))
            self._last = stored, [_from_list(values) for values in found]
        return self._last[1]

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
                f"{tempfile.gettempdir()}: the rows cannot be kept here ({error.strerror or error}); set TMPDIR to a "
                "folder with room, or take the rows as they come (stream=True)"
            ) from error
        self._ends.append(self._ends[-1] + len(data))


def _as_list(row: Row) -> list[Any]:
    face = row.face and [row.face.box, row.face.score, row.face.landmarks, row.face.turn]
    return [row.source, row.frame, row.time, row.index, face, row.probabilities, row.emotion, row.face_id]


def _from_list(values: list[Any]) -> Row:
    source, frame, time, index, face, probabilities, emotion, face_id = values
    if face is not None:
        box, score, landmarks, turn = face
        face = Face(tuple(box), score, None if landmarks is None else tuple(map(tuple, landmarks)), turn)
    return Row(source, frame, time, index, face, tuple(probabilities), emotion, face_id)
