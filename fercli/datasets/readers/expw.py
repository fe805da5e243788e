"""ExpW: a list of faces in photographs, several to a photograph.

`label.lst` has a line a face: `name face_id top left right bottom confidence label` (in this order of the box's sides).
The photographs stand in `image/origin/`. The set has no splits of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item
from fercli.datasets.readers.codes import Codes, Labels, count_codes
from fercli.datasets.readers.lists import (
    CUT_OFF,
    OUTSIDE,
    TOO_MANY,
    UNREADABLE,
    WRONG_BOX,
    box_between,
    first_file,
    first_folder,
    lines_of,
    number,
    runs_on,
    within,
)
from fercli.emotions import EMOTIONS
from fercli.errors import DataError

CODES = Codes("ExpW", {str(code): emotion for code, emotion in enumerate(EMOTIONS)})
"""ExpW's own order is FER2013's."""
COLUMNS = "name face_id top left right bottom confidence label"


class ExpW:
    """label.lst and the photographs, from which each listed face is cut."""

    name = "expw"
    title = "ExpW (Expression in-the-Wild), faces cut from their photographs"
    wants = "label.lst or label/label.lst, and the photographs in image/origin/, origin/ or image/"
    published: ClassVar[dict[str, int]] = {"": 91_793}

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether the list and the folder of photographs are there."""
        return _places(source) is not None

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the list's faces in order. The photographs are not looked for here: reading them tells."""
        places = _places(source)
        if places is None:
            raise DataError(f"{source}: not ExpW's layout; {self.name} wants {self.wants}")
        table, photographs = places
        within_source = photographs.relative_to(source).as_posix()
        labels = Labels(CODES, wanted)
        _check(table, labels)
        for row, line in enumerate(lines_of(table)):
            item = Item("", "", f"{row:05d}", table.name, row=row)
            values = parse_line(line) if line else None
            if values is None:
                item.problem = CUT_OFF if line else UNREADABLE
            elif row == 0 and values[-1] == "expression_label":
                continue  # some copies have a header
            else:
                _fill(item, values, labels, photographs, within_source)
            yield item


def _check(table: Path, labels: Labels) -> None:
    """Refuse a list of another kind.

    Raises:
        DataError: most lines have other columns than ExpW's, or the codes are not ExpW's.
    """
    found: Counter[str] = Counter()
    others, first = 0, ""
    for place, line in enumerate(lines_of(table), 1):
        values = parse_line(line) if line else None
        if values is not None and not runs_on(values[0]):
            found.update(count_codes(values[-1:]))
        elif line:
            columns = len(line.replace(",", " ").split())
            others, first = others + 1, first or f"line {place} has {columns} columns"
    if others > found.total():
        raise DataError(f"{table}: {first}, wanted: {COLUMNS}")
    labels.check(table, found)


def _places(source: Path) -> tuple[Path, Path] | None:
    """Return the list and the folder of photographs."""
    for root in (source, source / "data"):
        photographs = first_folder(root, ("image/origin", "origin", "image"))
        labels = first_file(source, ("label.lst", "label/label.lst", "data/label.lst", "data/label/label.lst"))
        if labels and photographs:
            return labels, photographs
    return None


def parse_line(line: str) -> list[str] | None:
    """Return the eight values of a line, parted by blanks or commas, or None where it is cut off.

    It is read from its end, since a photograph's name may hold blanks.
    """
    parts = line.rsplit(None, 7)
    if len(parts) != 8:
        parts = line.rsplit(",", 7)
    values = [part.strip(" \t,") for part in parts]
    return values if len(values) == 8 and all(values) else None


def _fill(item: Item, values: list[str], labels: Labels, photographs: Path, within_source: str) -> None:
    """Put into the item what its line says, or why it cannot be used."""
    name, face, top, left, right, bottom, confidence, label = values
    path = within(name)
    if path is None or runs_on(name):
        item.problem = OUTSIDE if path is None else TOO_MANY
        return
    item.file, item.source = photographs / path, f"{within_source}/{path}"
    item.name = f"{PurePosixPath(path).stem}_{face}"
    # ExpW names no persons. Its faces of one photograph share light, camera and often family, so they must not stand
    # in two splits: the photograph serves as the group that subjects are elsewhere.
    item.subject = f"photograph {path}"
    item.emotion, unknown, item.left_out = labels.of(label)
    item.box = box_between(left, top, right, bottom)
    item.score = confidence if number(confidence) is not None else ""
    if unknown or item.left_out:
        item.problem = unknown
    elif item.box is None:
        item.problem = WRONG_BOX
    elif not (face.isascii() and face.isdigit()) or not item.score:
        item.problem = "wrong face number or confidence"
