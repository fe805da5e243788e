"""The journal of generated images, one line per prompt, from which an interrupted call resumes."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of one prompt.

    Attributes:
        number: Number of the prompt, from 0.
        tries: Number of images that were generated and rejected.
        rejected: The reasons, one for each rejected image.
        sha256: Pixel digest of the face; empty if there is none.
        box: `x y width height` of the face in the image.
        score: Score of the detector.
    """

    number: int
    tries: int
    rejected: tuple[str, ...]
    sha256: str = ""
    box: str = ""
    score: str = ""


class Journal:
    """A journal file, read up to the first incomplete line; if a prompt has several lines, the last one counts.

    Args:
        path: The file.

    Attributes:
        entries: Entries by number of the prompt.
        seconds: Total generation time.
        images: Number of images generated.
    """

    def __init__(self, path: Path) -> None:
        self.entries: dict[int, Entry] = {}
        self.seconds = 0.0
        self.images = 0
        length = 0
        with suppress(OSError):
            for line in path.read_bytes().splitlines(keepends=True):
                try:
                    value: dict[str, Any] = json.loads(line)
                    seconds, images = float(value.pop("seconds")), int(value.pop("images"))
                    entry = Entry(**{**value, "rejected": tuple(value["rejected"])})
                except (ValueError, KeyError, TypeError):
                    break
                if not line.endswith(b"\n"):
                    break
                self.entries[entry.number] = entry
                self.seconds, self.images = seconds, images
                length += len(line)
        self._file = path.open("ab")
        self._file.truncate(length)

    def add(self, entry: Entry, seconds: float, images: int) -> None:
        """Write a line; `seconds` and `images` are totals so far."""
        self.entries[entry.number] = entry
        self.seconds, self.images = seconds, images
        fields = {name: getattr(entry, name) for name in Entry.__slots__}
        self._file.write(json.dumps({**fields, "seconds": round(seconds, 3), "images": images}).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
