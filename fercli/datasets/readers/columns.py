"""Parsing tables of any origin: delimiter, column roles and rows."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fercli.datasets.names import printable
from fercli.datasets.readers.lists import TOO_MANY, UNREADABLE, cells, lines_of, too_few
from fercli.errors import DataError
from fercli.files import open_file
from fercli.images import has_image_suffix

_NAMES = """
path: path file filename file_name filepath file_path image img imagename image_name img_name imagepath image_path
path: img_path picture photo pth
label: label labels emotion expression class class_name emotion_label expression_label
split: split set subset usage partition
subject: subject subject_id person person_id participant participant_id identity actor
"""
USUAL: dict[str, frozenset[str]] = {
    role: frozenset(name for line in _NAMES.splitlines() if line.startswith(f"{role}:") for name in line.split()[1:])
    for role in ("path", "label", "split", "subject")
}
"""Common column names by role."""
NONE = "-"
BETWEEN = (",", "\t", ";", "|", "")
"""Delimiters; the last one stands for whitespace."""
_MOST_JOINED = 100


@dataclass(frozen=True, slots=True)
class Layout:
    """The format of a table.

    Attributes:
        between: Delimiter; empty for whitespace.
        positions: Column index by role, from 0; split and subject are optional.
        width: Number of columns.
        header: Whether the first line is a header.
    """

    between: str
    positions: Mapping[str, int]
    width: int
    header: bool


def layout_of(table: Path, columns: Mapping[str, str]) -> Layout | str:
    """Return a table's format, or the reason why it cannot be read.

    Args:
        table: A file.
        columns: Column by role (path, label, split, subject), where given: its name in the header, its number from 1,
            or `-` for none.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with open_file(table) as file:
            start = file.read(2)
    except OSError as error:
        raise DataError(f"{table}: {error.strerror or error}") from error
    if start in (b"\xff\xfe", b"\xfe\xff"):
        return "the table is UTF-16; save it as UTF-8"
    line = next(lines_of(table), None)
    if not line:
        return "the table is empty, or its first line is too long"
    reasons = []
    for between in BETWEEN:
        names = _split(line, between)
        if len(names) < 2:
            continue
        found = _find_columns(names, columns)
        if isinstance(found, Layout):
            return Layout(between, found.positions, found.width, found.header)
        reasons.append(found)
    return (
        reasons[0] if reasons else f"line 1 has one column ('{printable(line)[:40]}'), expected at least path and label"
    )


def rows_of(table: Path, layout: Layout) -> Iterator[tuple[list[str] | None, str]]:
    """Yield the values of each row, or None and the reason why the row cannot be read.

    A quoted value may contain newlines. An unclosed quotation mark invalidates only its own line.
    """
    lines = lines_of(table)
    if layout.header:
        next(lines, None)
    pending: deque[str | None] = deque()
    while pending or (line := next(lines, _END)) is not _END:
        if pending:
            line = pending.popleft()
        if line is None:
            yield None, UNREADABLE
            continue
        assert isinstance(line, str)
        values = _split(line, layout.between, layout.width)
        if layout.between and _is_unclosed(line, layout.between):
            values = _join(line, lines, pending, layout) or []
        while len(values) > layout.width and not values[-1].strip():
            values.pop()
        if len(values) > layout.width:
            yield None, TOO_MANY
        elif len(values) <= max(layout.positions.values()):
            yield None, too_few(line)
        else:
            yield values, ""


class _End:
    """Sentinel for the end of a table."""


_END = _End()


def _is_unclosed(line: str, between: str) -> bool:
    """Return whether a line ends inside a quoted value."""
    if line.count('"') % 2 == 0:
        return False
    try:
        next(csv.reader([line], delimiter=between, strict=True), None)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _join(line: str, lines: Iterator[str | None], pending: deque[str | None], layout: Layout) -> list[str] | None:
    """Return the values of a row with a multi-line quoted value, or None if the next lines are separate rows."""
    taken: list[str | None] = []
    while len(taken) < _MOST_JOINED and (after := pending.popleft() if pending else next(lines, _END)) is not _END:
        assert not isinstance(after, _End)
        taken.append(after)
        if after is None or _is_row(after, layout):
            break
        if after.count('"') % 2:
            text = [f"{part}\n" for part in (line, *taken)]
            values = next(csv.reader(text, delimiter=layout.between), [])
            if len(values) == layout.width:
                return values
            break
    pending.extendleft(reversed(taken))
    return None


def _is_row(line: str, layout: Layout) -> bool:
    return line.count(layout.between) + 1 >= layout.width


def _split(line: str, between: str, width: int = 0) -> list[str]:
    if between:
        return cells(line, between) or []
    # The first value, usually the path, may contain spaces.
    return line.rsplit(None, width - 1) if width else line.split()


def normalised(name: str) -> str:
    """Normalise a column name for comparison: `Image Name` becomes `image_name`."""
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())


def _find_columns(names: Sequence[str], columns: Mapping[str, str]) -> Layout | str:
    """Identify the columns from the first line; return the reason if that fails."""
    shown = ", ".join(repr(printable(name.strip())[:40]) for name in names[:8]) + (", …" if len(names) > 8 else "")
    positions: dict[str, int] = {}
    by_name = {normalised(name): at for at, name in reversed(list(enumerate(names)))}
    header = any(normalised(name) in usual for name in names for usual in (USUAL["path"], USUAL["label"]))
    for role, usual in USUAL.items():
        given = columns.get(role)
        if given is None:
            found = [at for at, name in enumerate(names) if normalised(name) in usual]
            if len(found) > 1:
                several = " or ".join(names[at].strip() for at in found)
                first = names[found[0]].strip()
                return f"the columns {several} could both be the {role}; select one with --columns {role}={first}"
            if found:
                positions[role] = found[0]
        elif given == NONE:
            continue
        elif normalised(given) in by_name:
            positions[role], header = by_name[normalised(given)], True
        elif given.isascii() and given.isdigit() and len(given) < 6 and 1 <= int(given) <= len(names):
            positions[role] = int(given) - 1
        else:
            return f"there is no column '{given}' for --columns {role}; line 1 has {shown}"
    if not columns and not header and len(names) == 2 and has_image_suffix(Path(names[0].strip())):
        return Layout("", {"path": 0, "label": 1}, 2, False)
    if lacking := [role for role in ("path", "label") if role not in positions]:
        needed = ",".join(f"{role}=COLUMN" for role in lacking)
        return (
            f"no column for {' and '.join(lacking)}: line 1 has {shown}; select it with --columns {needed} (its name "
            "in line 1, or its number from 1)"
        )
    return Layout("", positions, len(names), header and not has_image_suffix(Path(names[positions["path"]].strip())))
