"""The journal of results, one line per photograph or video, from which an interrupted call resumes.

Results are held in the journal only: those of a million photographs do not fit in memory as objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fercli.datasets.readers.base import Item
from fercli.faces.base import Face
from fercli.stages.detect.face_extractor import DetectionResult, FrameFaces


class Journal:
    """A file of results, one per line.

    Args:
        path: The file.
        callback: Called with every result, including those of existing lines.

    Attributes:
        lines: Number of lines.
        seconds: Time spent on the results so far.
    """

    def __init__(self, path: Path, callback: Callable[[DetectionResult], None]) -> None:
        self._path, self._callback = path, callback
        self._file = path.open("ab")
        self.lines = 0
        self.seconds = 0.0

    def resume(self, items: Iterator[Item]) -> Iterator[Item]:
        """Read the lines up to the first that is damaged or belongs to another item; return the remaining items."""
        kept = 0
        with self._path.open("rb") as file:
            for line in file:
                entry = _parse_line(line)
                item = next(items, None)
                if entry is None or item is None or entry[0].source != item.source:
                    items = items if item is None else chain([item], items)
                    break
                result, self.seconds = entry
                self._callback(result)
                self.lines += 1
                kept += len(line)
        self._file.truncate(kept)
        return items

    def add(self, result: DetectionResult, seconds: float) -> None:
        """Append a result; `seconds` is the time spent on all so far."""
        self._callback(result)
        self.lines += 1
        self.seconds = seconds
        self._file.write(json.dumps({"found": _as_json(result), "seconds": seconds}).encode() + b"\n")
        self._file.flush()

    def read(self) -> Iterator[DetectionResult]:
        """Yield all results, from the first."""
        with self._path.open("rb") as file:
            for line in file:
                yield _parse_result(json.loads(line)["found"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _parse_line(line: bytes) -> tuple[DetectionResult, float] | None:
    if line.endswith(b"\n"):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            return _parse_result(entry["found"]), float(entry["seconds"])
    return None


def _as_json(result: DetectionResult) -> dict[str, Any]:
    values = {name: getattr(result, name) for name in DetectionResult.__slots__}
    seen = (
        {
            "faces": [(f.box, f.score, f.landmarks, f.turn) for f in s.faces],
            "sha256": s.sha256,
            "frame": s.frame,
            "ids": s.ids,
        }
        for s in result.seen
    )
    return {**values, "seen": list(seen)}


def _parse_result(values: dict[str, Any]) -> DetectionResult:
    seen = tuple(
        FrameFaces(
            tuple(_parse_face(*face) for face in one["faces"]), tuple(one["sha256"]), one["frame"], tuple(one["ids"])
        )
        for one in values["seen"]
    )
    return DetectionResult(**{**values, "seen": seen})


def _parse_face(box: list[float], score: float, landmarks: list[list[float]] | None, turn: int = 0) -> Face:
    left, top, width, height = box
    points = None if landmarks is None else tuple((x, y) for x, y in landmarks)
    return Face((left, top, width, height), score, points, turn)
