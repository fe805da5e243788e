"""What was drawn so far, one line an image, so that an interrupted call can be gone on with."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one prompt.

    Attributes:
        number: Of the prompt, from 0.
        tries: Images that were drawn and rejected.
        rejected: Why, one reason each.
        sha256: Pixel digest of the face, which stands in its place; empty where there is none.
        box: `x y width height` of the face in the image.
        score: The detector's.
    """

    number: int
    tries: int
    rejected: tuple[str, ...]
    sha256: str = ""
    box: str = ""
    score: str = ""


class Journal:
    """The lines in a file, read up to the first that is torn; of two lines of one prompt the later one counts.

    Args:
        path: The file.

    Attributes:
        entries: By number of the prompt.
        seconds: How long they took.
        images: How many images were drawn.
    """

    def __init__(self, path: Path) -> None:
        self.entries: dict[int, Entry] = {}
        self.seconds = 0.0
        self.images = 0
        kept = 0
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
                kept += len(line)
        self._file = path.open("ab")
        self._file.truncate(kept)

    def add(self, entry: Entry, seconds: float, images: int) -> None:
        """Write a line; `seconds` and `images` are what all so far have taken."""
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
