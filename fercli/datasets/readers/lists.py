"""Parsing lists and tables found in the wild: lines of bounded length, paths that stay inside, numbers."""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fercli.errors import DataError
from fercli.faces.base import Box
from fercli.files import open_file
from fercli.images import has_image_suffix

MAX_LINE = 65_536
"""Maximum bytes per line; published lists have at most about 2,000."""

CUT_OFF = "line cut off"
STRAY_QUOTE = "stray quotation mark"
TOO_MANY = "line has too many columns"
UNREADABLE = "line unreadable"
OUTSIDE = "path leads outside the folder"
NO_LABEL = "no label"
UNKNOWN_LABEL = "unknown label"
WRONG_BOX = "wrong face box"

_DRIVE = re.compile(r"[A-Za-z]:")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")


def lines_of(path: Path) -> Iterator[str | None]:
    """Yield the non-empty lines, stripped; None for a line that is too long.

    Invalid UTF-8 is kept by surrogate escapes, as in file names, so that it affects only its own line.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with open_file(path) as file:
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            while line := file.readline(MAX_LINE):
                if len(line) == MAX_LINE and line[-1:] != b"\n":
                    while (rest := file.readline(MAX_LINE)) and rest[-1:] != b"\n":
                        pass
                    yield None
                elif text := line.decode("utf-8", "surrogateescape").strip():
                    yield text
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def cells(line: str, between: str = ",") -> list[str] | None:
    """Return the values of a CSV line, or None if it cannot be parsed. No value contains a newline."""
    if '"' not in line:
        return line.split(between)
    try:
        return next(csv.reader([line], delimiter=between), None)
    except csv.Error:
        return None


def runs_on(name: str) -> bool:
    """Return whether a value that should be an image's name is followed by more values.

    >>> runs_on("a b.jpg"), runs_on("a b.jpg 0")
    (False, True)
    """
    return any(has_image_suffix(Path(part)) for part in re.split(r"[\s,]+", name)[:-1])


def too_few(line: str) -> str:
    """Return why a line has fewer values than its table's header.

    An unclosed quotation mark consumes only the rest of its own line: values in published tables contain no newline,
    so each line is parsed separately, and rows keep their numbers.
    """
    return STRAY_QUOTE if line.count('"') % 2 else CUT_OFF


def header_of(table: Path) -> list[str]:
    """Return the lower-case column names of a CSV; none if it is not text or cannot be read."""
    try:
        with open_file(table) as file:
            line = file.readline(4096).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return []
    return [name.strip().lower() for name in cells(line.strip()) or []]


def within(name: str) -> str | None:
    """Return a file name from a list as a path below its folder, or None if it leads elsewhere.

    >>> within("689/a.jpg"), within("..\\\\a.jpg"), within("/etc/passwd")
    ('689/a.jpg', None, None)
    """
    parts = [part for part in name.strip().replace("\\", "/").split("/") if part != "."]
    if not parts or "" in parts or ".." in parts or "\0" in name or _DRIVE.match(parts[0]):
        return None
    return "/".join(parts)


def number(text: str) -> float | None:
    """Parse a plain decimal number, or return None; float() would also accept nan, 1_0 and non-ASCII digits."""
    text = text.strip()
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def box_between(left: str, top: str, right: str, bottom: str) -> Box | None:
    """Return the box between two corners, or None if they are not numbers or span no area."""
    ends = [number(text) for text in (left, top, right, bottom)]
    x, y, to_x, to_y = ends
    if x is None or y is None or to_x is None or to_y is None or to_x <= x or to_y <= y:
        return None
    return x, y, to_x - x, to_y - y


def first_folder(root: Path, names: Iterable[str]) -> Path | None:
    """Return the first of the folders that exists."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def first_file(root: Path, names: Iterable[str]) -> Path | None:
    """Return the first of the files that exists."""
    return next((root / name for name in names if (root / name).is_file()), None)
