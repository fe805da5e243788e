"""AffectNet as distributed by its authors: CSV lists and folders of images.

`training.csv` and `validation.csv` have the columns subDirectory_filePath, face_x, face_y, face_width, face_height,
facial_landmarks, expression, valence, arousal; paths are relative to Manually_Annotated_Images/. The test labels were
never published and papers report on the validation set, so **the validation set is used as test here**, and a
validation split is taken from train. Rows labelled none, uncertain or non-face (8, 9, 10) are skipped with that reason.
Valence and arousal are read where a row has both in -1..1; the lists have -2 where they were not annotated, and
anything else that is not such a number counts as not annotated too. Rows are streamed, never held in memory together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

from fercli.datasets.affect import AFFECT, format_affect
from fercli.datasets.readers.base import ANY, ImportOptions, Item
from fercli.datasets.readers.codes import Codes, Labels, count_codes
from fercli.datasets.readers.lists import (
    OUTSIDE,
    UNREADABLE,
    WRONG_BOX,
    cells,
    first_folder,
    header_of,
    lines_of,
    number,
    too_few,
    within,
)
from fercli.emotions import CONTEMPT
from fercli.errors import DataError
from fercli.faces.base import Box

CODES = Codes(
    "AffectNet",
    {
        "0": "neutral",
        "1": "happy",
        "2": "sad",
        "3": "surprise",
        "4": "fear",
        "5": "disgust",
        "6": "angry",
        "7": CONTEMPT,
    },
    {"8": "labelled none", "9": "labelled uncertain", "10": "labelled non-face"},
    # Counted from 1, eight or seven emotions are still valid codes, with neutral, the most frequent one, missing.
    (frozenset(range(8)), frozenset(range(7))),
)
PATH, LABEL = "subdirectory_filepath", "expression"
BOX = ("face_x", "face_y", "face_width", "face_height")
_NOTHING = frozenset({"", "null", "none", "nan"})


class AffectNetCsv:
    """The manually annotated set: training.csv and validation.csv, or one of them."""

    name = "affectnet-csv"
    title = "AffectNet by its CSV lists, its validation set as test"
    expects = (
        "a folder with training.csv, validation.csv and Manually_Annotated_Images/; "
        "validation.csv becomes test, since no test labels were published"
    )
    published: ClassVar[dict[str, int]] = {"train": 414_799, "test": 5_500}
    _lists: ClassVar[dict[str, str]] = {"training.csv": "train", "validation.csv": "test"}
    _kind: ClassVar[str] = "Manually_Annotated"

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the source is, or contains, a list with columns for path and expression."""
        return any({PATH, LABEL} <= set(header_of(table)) for table, _ in self._tables(source))

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the rows in order, list by list. Missing images are reported when they are read."""
        tables = self._tables(source)
        if not tables:
            raise DataError(f"{source}: not AffectNet's layout; {self.name} expects {self.expects}")
        for table, _ in tables:
            names = header_of(table)
            if not {PATH, LABEL} <= set(names):
                shown = ", ".join(repr(name[:40]) for name in names[:8]) or "no header"
                raise DataError(
                    f"{table}: AffectNet's lists have the columns subDirectory_filePath and expression; this one has "
                    f"{shown}"
                )
            if source.is_file():  # a list's digest would not cover its images
                raise DataError(f"{table}: give the folder with AffectNet's lists and images, not a single list")
        labels, found = Labels(CODES, options), Counter[str]()
        for table, _ in tables:
            at = header_of(table).index(LABEL)
            found += count_codes(v[at] for v, _ in _values(table) if v and len(v) > at)
        labels.check(tables[0][0].parent, found)
        for table, split in tables:
            yield from self._rows(source, table, split, labels)

    def _tables(self, source: Path) -> list[tuple[Path, str]]:
        """Return (list, split): the given file, which `read` refuses, or the lists in the folder."""
        if source.is_file():
            return [(source, "")] if self._claims(source.name.lower()) else []
        lists = (f"{self._kind}_file_lists", f"{self._kind}_file_list", self._kind.replace("_A", "_a") + "_file_list")
        for inner in (".", *lists, *(f"{self._kind}/{each}" for each in (".", *lists))):
            if found := [
                (source / inner / name, s) for name, s in self._lists.items() if (source / inner / name).is_file()
            ]:
                return found
        return []

    def _claims(self, name: str) -> bool:
        """Return whether a single file is for this reader, by its name."""
        return not name.startswith("automatic")

    def _images(self, source: Path, table: Path) -> Path:
        """Return the folder that the list's paths are relative to."""
        folders = (f"{self._kind}_Images", f"{self._kind}/{self._kind}_Images", self._kind)
        return first_folder(source, folders) or table.parent

    def _rows(self, source: Path, table: Path, split: str, labels: Labels) -> Iterator[Item]:
        images, names = self._images(source, table), header_of(table)
        path_at, label_at = names.index(PATH), names.index(LABEL)
        box_at = [names.index(name) for name in BOX] if set(BOX) <= set(names) else []
        affect_at = [names.index(name) for name in AFFECT] if set(AFFECT) <= set(names) else []
        least = max(path_at, label_at, *box_at)
        place = images.relative_to(source).as_posix()
        before = "" if place == "." else f"{place}/"
        for row, (values, why) in enumerate(_values(table)):
            item = Item(split, "", f"{row:06d}", table.name, row=row)
            if values is None or len(values) <= least:
                item.problem = why
                yield item
                continue
            path = within(values[path_at])
            item.emotion, unknown, left_out = labels.of(values[label_at])
            if path is None:
                item.problem = OUTSIDE
            else:
                item.file, item.name, item.source = images / path, PurePosixPath(path).stem, before + path
                item.problem, item.left_out = unknown, left_out
                if affect_at and len(values) > max(affect_at):
                    item.affect = format_affect(*(number(values[place]) for place in affect_at))
                if item.emotion and box_at:
                    item.box, item.problem = parse_box([values[place] for place in box_at])
            yield item


def _values(table: Path) -> Iterator[tuple[list[str] | None, str]]:
    """Yield the values of each row below the header, and the reason if there are too few."""
    lines = lines_of(table)
    next(lines, None)
    for line in lines:
        values = cells(line) if line else None
        yield values, too_few(line) if line and values is not None else UNREADABLE


class AffectNetAutomatic(AffectNetCsv):
    """The automatically annotated set: no test split, since its labels were not checked by people."""

    name = "affectnet-automatic"
    title = "AffectNet as annotated automatically, without a test set"
    expects = "a folder with automatically_annotated.csv and Automatically_Annotated_Images/"
    published: ClassVar[dict[str, int]] = {}
    _lists: ClassVar[dict[str, str]] = {"automatically_annotated.csv": "train"}
    _kind: ClassVar[str] = "Automatically_Annotated"

    def _claims(self, name: str) -> bool:
        return name.startswith("automatic")


def parse_box(texts: list[str]) -> tuple[Box | None, str]:
    """Return the face box (x, y, width, height) and its problem or ''; no box if the columns are empty.

    >>> parse_box(["1", "2", "30", "40"]), parse_box(["NULL"] * 4), parse_box(["a"] * 4)
    (((1.0, 2.0, 30.0, 40.0), ''), (None, ''), (None, 'wrong face box'))
    """
    if all(text.strip().lower() in _NOTHING for text in texts):
        return None, ""
    x, y, width, height = (number(text) for text in texts)
    if x is None or y is None or width is None or height is None:
        return None, WRONG_BOX
    # The lists use a width of -1 or 0 where no face was found.
    return ((x, y, width, height), "") if width > 0 and height > 0 else (None, "")
