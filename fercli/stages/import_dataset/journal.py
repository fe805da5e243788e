"""The journal of written images, from which an interrupted import resumes without decoding them again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from fercli.artifacts.staging import clear
from fercli.errors import ImageError

JOURNAL = "journal.jsonl"


class Written(NamedTuple):
    """A written image: the digest of its pixels, and whether it is nearly black."""

    digest: str
    dark: bool


Result = Written | ImageError


class Journal:
    """The results of a source's items, in its order, one line for each chunk, in the folder that is being written.

    What an earlier call has left there without a journal cannot be continued, and is removed.

    Args:
        folder: The folder.

    Attributes:
        resumed: Whether an earlier call has left results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / JOURNAL
        self.resumed = has_results(folder)
        if not self.resumed:
            clear(folder)
        self._file = self._path.open("a+b")
        self._file.seek(0)
        self._kept = 0
        self._gap = False

    def take(self, paths: Sequence[str]) -> list[Result] | None:
        """Return the results of the next chunk if an earlier call has written it; None for all after the first gap.

        Args:
            paths: Path of each image in the folder, empty where it is skipped.
        """
        if self._gap:
            return None
        line = self._file.readline()
        results = self._results(line, paths)
        if results is None:
            self._gap = True
            self._file.truncate(self._kept)
        else:
            self._kept += len(line)
        return results

    def _results(self, line: bytes, paths: Sequence[str]) -> list[Result] | None:
        with suppress(ValueError, TypeError, LookupError):  # a line that was cut off when the earlier call was killed
            known, found = json.loads(line)
            results = [Written(*each) if each[1] in (True, False) else ImageError(*each) for each in found]
            written = (self._folder / path for path, each in zip(paths, results, strict=True) if type(each) is Written)
            if known == list(paths) and all(file.is_file() for file in written):
                return results
        return None

    def add(self, paths: Sequence[str], results: Sequence[Result]) -> None:
        """Append the results of a chunk."""
        found = [(each.reason, str(each)) if isinstance(each, ImageError) else each for each in results]
        self._file.write(json.dumps([paths, found]).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._path.unlink()


def has_results(folder: Path) -> bool:
    """Return whether a folder has results to resume from."""
    journal = folder / JOURNAL
    return journal.is_file() and journal.stat().st_size > 0
