"""ExpW: a list of faces in photographs, several per photograph.

`label.lst` has one line per face: `name face_id top left right bottom confidence label` (with the sides of the box in
this order). The photographs are in `image/origin/`. There are no published splits.
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
"""ExpW uses FER2013's order."""
COLUMNS = "name face_id top left right bottom confidence label"


class ExpW:
    """label.lst and the photographs, from which each listed face is cropped."""

    name = "expw"
    title = "ExpW (Expression in-the-Wild), faces cropped from photographs"
    expects = "label.lst or label/label.lst, and the photographs in image/origin/, origin/ or image/"
    published: ClassVar[dict[str, int]] = {"": 91_793}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the list and the folder of photographs exist."""
        return _places(source) is not None

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the listed faces in order. Missing photographs are reported when they are read."""
        places = _places(source)
        if places is None:
            raise DataError(f"{source}: not ExpW's layout; {self.name} expects {self.expects}")
        table, photographs = places
        within_source = photographs.relative_to(source).as_posix()
        labels = Labels(CODES, options)
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
    """Refuse a list in another format.

    Raises:
        DataError: most lines do not have ExpW's columns, or the codes are not ExpW's.
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
        raise DataError(f"{table}: {first}, expected: {COLUMNS}")
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
    """Return the eight values of a line, separated by spaces or commas, or None if it is cut off.

    It is parsed from the end, since a photograph's name may contain spaces.
    """
    parts = line.rsplit(None, 7)
    if len(parts) != 8:
        parts = line.rsplit(",", 7)
    values = [part.strip(" \t,") for part in parts]
    return values if len(values) == 8 and all(values) else None


def _fill(item: Item, values: list[str], labels: Labels, photographs: Path, within_source: str) -> None:
    """Fill in the item from its line, or set its problem."""
    name, face, top, left, right, bottom, confidence, label = values
    path = within(name)
    if path is None or runs_on(name):
        item.problem = OUTSIDE if path is None else TOO_MANY
        return
    item.file, item.source = photographs / path, f"{within_source}/{path}"
    item.name = f"{PurePosixPath(path).stem}_{face}"
    # ExpW does not identify persons. Faces in one photograph share light, camera and often family, so they must not be
    # split up: the photograph takes the role of the subject.
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
