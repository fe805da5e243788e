"""The columns of a table of any origin: what stands between them, which is which, and its rows."""

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
"""What the columns are usually called, by what they hold."""
NONE = "-"
BETWEEN = (",", "\t", ";", "|", "")
"""What stands between columns; the last one for blanks."""
_MOST_JOINED = 100


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written.

    Attributes:
        between: What stands between its columns; empty for blanks.
        positions: Number of the column, from 0, by what it holds; split and subject may be absent.
        width: How many columns it has.
        header: Whether its first line names them.
    """

    between: str
    positions: Mapping[str, int]
    width: int
    header: bool


def layout_of(table: Path, columns: Mapping[str, str]) -> Layout | str:
    """Return how a table is written, or why it is none.

    Args:
        table: A file.
        columns: The column of path, label, split, subject where the call names it: by the header's name for it, by
            its number from 1, or `-` for none.

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
        return "the table is empty, or its first line too long"
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
        reasons[0] if reasons else f"line 1 has one column ('{printable(line)[:40]}'), wanted at least path and label"
    )


def rows_of(table: Path, layout: Layout) -> Iterator[tuple[list[str] | None, str]]:
    """Yield the values of each row, or None and why it has none that serve.

    A value in quotation marks may hold line ends. A mark that is never closed spoils its own line alone.
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
    """Stands for a table's end."""


_END = _End()


def _is_unclosed(line: str, between: str) -> bool:
    """Tell whether a line ends within quotation marks."""
    if line.count('"') % 2 == 0:
        return False
    try:
        next(csv.reader([line], delimiter=between, strict=True), None)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _join(line: str, lines: Iterator[str | None], pending: deque[str | None], layout: Layout) -> list[str] | None:
    """Return the values of a row whose quoted value goes on in the next lines, or None where they are other rows."""
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
    # The first value, which is mostly the path, may hold blanks.
    return line.rsplit(None, width - 1) if width else line.split()


def normalised(name: str) -> str:
    """Return a column's name as it is compared: `Image Name` is `image_name`."""
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())


def _find_columns(names: Sequence[str], columns: Mapping[str, str]) -> Layout | str:
    """Return which column is which by the first line, or why that cannot be told."""
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
                return f"the columns {several} could be the {role}; say with --columns {role}={names[found[0]].strip()}"
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
        wanted = ",".join(f"{role}=COLUMN" for role in lacking)
        return (
            f"no column for {' and '.join(lacking)}: line 1 has {shown}; name it with --columns {wanted} (what line 1 "
            "calls it, or its number from 1)"
        )
    return Layout("", positions, len(names), header and not has_image_suffix(Path(names[positions["path"]].strip())))
