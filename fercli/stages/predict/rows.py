"""The rows of a prediction, and the table they go into."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fercli.errors import DataError, UsageError
from fercli.faces.base import Face

COLUMNS = ("source", "frame", "time", "face", "left", "top", "width", "height", "score", "emotion")


@dataclass(frozen=True)
class Row:
    """One face of one frame; a frame without a face has one row, whose `face` is None.

    Attributes:
        source: The photograph or video.
        frame: Number of the frame, from 0.
        time: Seconds since the video's start; None for a photograph.
        index: Of the face within its frame, largest first, from 0.
        face: Where it is.
        probabilities: One an emotion, adding up to 1.
        emotion: The most probable one.
    """

    source: str
    frame: int
    time: float | None
    index: int | None = None
    face: Face | None = None
    probabilities: tuple[float, ...] = ()
    emotion: str = ""

    def cells(self, emotions: int) -> list[str]:
        """Return the row's cells: those of COLUMNS, then one probability an emotion; empty where there is no face."""
        time = "" if self.time is None else f"{self.time:.3f}"
        start = [self.source, str(self.frame), time]
        if self.face is None:
            return [*start, *[""] * (len(COLUMNS) - 3 + emotions)]
        box = (f"{value:.1f}" for value in self.face.box)
        chances = (f"{value:.6f}" for value in self.probabilities)
        return [*start, str(self.index), *box, f"{self.face.score:.4f}", self.emotion, *chances]

    def as_dict(self, emotions: Sequence[str]) -> dict[str, Any]:
        """Return the row as JSON has it."""
        face = self.face
        return {
            "source": self.source,
            "frame": self.frame,
            "time": self.time,
            "face": self.index,
            "box": [round(value, 1) for value in face.box] if face else None,
            "score": round(face.score, 4) if face else None,
            "emotion": self.emotion or None,
            "probabilities": dict(zip(emotions, (round(p, 6) for p in self.probabilities), strict=False)) or None,
        }


class Table:
    """A CSV file of rows, written as they come beside its place, and renamed when it is whole.

    Args:
        path: Where; None: nowhere.
        emotions: The model's, in order.
        overwrite: Replace a table of ours that stands there.

    Raises:
        UsageError: something stands there, and `overwrite` is not set.
        DataError: what stands there is no table of predictions, or the place cannot be written.
    """

    def __init__(self, path: Path | None, emotions: Sequence[str], overwrite: bool) -> None:
        self._path, self._emotions = path, len(emotions)
        self._file: io.TextIOWrapper | None = None
        if path is None:
            return
        if path.exists():
            if not overwrite:
                raise UsageError(f"--csv {path}: something stands here; replace it with --overwrite")
            with path.open(encoding="utf-8", errors="replace") as standing:
                if not standing.readline().startswith(",".join(COLUMNS)):
                    raise DataError(f"--csv {path}: what stands here is no table of fer predict; choose another place")
        self._beside = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._beside.open("w", encoding="utf-8", errors="replace", newline="")
        except OSError as error:
            raise DataError(f"--csv {path}: cannot be written ({error.strerror or error})") from error
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow([*COLUMNS, *emotions])

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        if self._file is not None:
            self._writer.writerows(row.cells(self._emotions) for row in rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is None or self._path is None:
            return
        self._file.close()
        if kind is None:
            self._beside.replace(self._path)
        else:
            self._beside.unlink(missing_ok=True)
