"""What is done so far, one line a photograph, so that an interrupted call can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fercli.datasets.readers.base import Item
from fercli.faces.base import Face
from fercli.stages.detect.finding import Found


class Journal:
    """The lines in a file. They are read up to the first that is torn or tells of another photograph.

    Args:
        path: The file.
        items: The photographs, in order.

    Attributes:
        found: What came of the first photographs.
        seconds: How long they took.
    """

    def __init__(self, path: Path, items: Sequence[Item]) -> None:
        self.found: list[Found] = []
        self.seconds = 0.0
        kept = 0
        with suppress(OSError):
            for line, item in zip(path.read_bytes().splitlines(keepends=True), items, strict=False):
                try:
                    entry = json.loads(line)
                    found, seconds = _found(entry["found"]), float(entry["seconds"])
                except (ValueError, KeyError, TypeError):
                    break
                if not line.endswith(b"\n") or found.source != item.source:
                    break
                self.found.append(found)
                self.seconds = seconds
                kept += len(line)
        self._file = path.open("ab")
        self._file.truncate(kept)

    def add(self, found: Found, seconds: float) -> None:
        """Write a line; `seconds` is the time that all photographs so far have taken."""
        self.found.append(found)
        self.seconds = seconds
        self._file.write(json.dumps({"found": asdict(found), "seconds": seconds}).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _found(entry: dict[str, Any]) -> Found:
    faces = tuple(_face(**face) for face in entry["faces"])
    return Found(
        entry["source"], faces, tuple(entry["sha256"]), *(entry[name] for name in ("photograph", "problem", "message"))
    )


def _face(box: list[float], score: float, landmarks: list[list[float]] | None) -> Face:
    left, top, width, height = box
    points = None if landmarks is None else tuple((x, y) for x, y in landmarks)
    return Face((left, top, width, height), score, points)
