"""RAF-DB, the basic set: a list of names and codes, and a folder of images.

`basic/EmoLabel/list_patition_label.txt` (its spelling) has lines `train_00001.jpg 5`. The images are in
`basic/Image/aligned/train_00001_aligned.jpg` (100 x 100, what papers train on) and in
`basic/Image/original/train_00001.jpg`, the latter with face boxes in
`basic/Annotation/boundingbox/train_00001_boundingbox.txt` (left top right bottom). The prefix of the name distinguishes
train from test; there is no validation split. Some copies of the list have a third column after the code.

`compound/` has the same layout, but its codes 1 to 11 stand for pairs of emotions: it is refused.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item
from fercli.datasets.readers.codes import STRAY, Codes, Labels, count_codes
from fercli.datasets.readers.lists import (
    CUT_OFF,
    MAX_LINE,
    OUTSIDE,
    TOO_MANY,
    UNREADABLE,
    WRONG_BOX,
    box_between,
    first_file,
    first_folder,
    lines_of,
    within,
)
from fercli.errors import DataError
from fercli.faces.base import Box
from fercli.files import open_file
from fercli.images import MISSING, has_image_suffix

CODES = Codes(
    "RAF-DB",
    {"1": "surprise", "2": "fear", "3": "disgust", "4": "happy", "5": "sad", "6": "angry", "7": "neutral"},
)
PUBLISHED: dict[str, int] = {"train": 12_271, "test": 3_068}
COMPOUND = "compound"
LISTS = ("list_patition_label.txt", "list_partition_label.txt", "list_label.txt")
UNLISTED = "not in the list"
TWICE = "listed twice"
NO_SPLIT = "no train or test prefix"


def split_by_name(name: str) -> str | None:
    """Return the split for a file name's prefix, or None.

    >>> split_by_name("test_0001_aligned.jpg"), split_by_name("face.jpg")
    ('test', None)
    """
    prefix = name.split("_")[0].lower()
    return prefix if prefix in ("train", "test") and "_" in name else None


def refuse_compound(place: Path, named: bool, labels: Labels, found: Counter[str]) -> None:
    """Refuse RAF-DB's compound set, detected by folder name or by codes 8 to 11, unless `--map` gives every code.

    Raises:
        DataError: it is the compound set.
    """
    outside = labels.outside(found)
    share = sum(found[str(code)] for code in outside) / max(1, found.total())
    by_codes = share > STRAY and set(outside) <= {8, 9, 10, 11} and not labels.shifted(found)
    if by_codes or (named and (labels.unmapped(found) or not found)):
        raise DataError(
            f"{place}: RAF-DB's compound set, whose codes 1 to 11 are pairs of emotions (1 happily surprised, 7 "
            "fearfully angry), not the seven basic ones; give basic/"
        )


def parse_line(line: str) -> list[str] | None:
    """Return name and code from a line of the list, separated by spaces or a comma, or None if it is cut off.

    More values may follow the code; names may contain spaces.

    >>> parse_line("train_1.jpg 5"), parse_line("train_1.jpg 5 0"), parse_line("train_1.jpg")
    (['train_1.jpg', '5'], ['train_1.jpg', '5', '0'], None)
    """
    parts = line.split() if "," not in line else line.split(",")
    if len(parts) < 3 or not has_image_suffix(Path(parts[0].strip())):
        parts = line.rsplit(None, 1) if "," not in line else line.rsplit(",", 1)
    parts = [part.strip() for part in parts]
    return parts if len(parts) >= 2 and all(parts) else None


@dataclass(frozen=True, slots=True)
class _Places:
    """Locations of the list, the images and, for the original images, the boxes."""

    labels: Path
    pictures: Path
    boxes: Path | None
    compound: bool


class RafDb:
    """The aligned faces."""

    name = "raf-db"
    title = "RAF-DB, aligned faces"
    expects = "basic/ with EmoLabel/list_patition_label.txt and Image/aligned/, or a folder with the list and aligned/"
    published: ClassVar[dict[str, int]] = PUBLISHED
    _folders: ClassVar[tuple[str, ...]] = ("Image/aligned/aligned", "Image/aligned", "aligned/aligned", "aligned")
    _boxed: ClassVar[bool] = False

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the list and the folder of images exist."""
        return self._places(source) is not None

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the list's entries in order, then the images it does not list, as items with a problem."""
        places = self._places(source)
        if places is None:
            raise DataError(f"{source}: not RAF-DB's layout; {self.name} expects {self.expects}")
        try:
            present = {entry.name for entry in os.scandir(places.pictures) if has_image_suffix(Path(entry.name))}
        except OSError as error:
            raise DataError(f"{places.pictures}: {error.strerror or error}") from error
        labels = Labels(CODES, options)
        width = self._check(places, labels)
        listed: set[str] = set()
        within_source = places.pictures.relative_to(source).as_posix()
        for row, line in enumerate(lines_of(places.labels)):
            item = Item("", "", f"{row:05d}", places.labels.name, row=row)
            entry = parse_line(line) if line else None
            if entry is None:
                item.problem = CUT_OFF if line else UNREADABLE
            else:
                self._fill(item, entry, labels, places, present, listed)
                item.source = f"{within_source}/{item.file.name if item.file else entry[0]}"
                if len(entry) > width:
                    item.problem = item.problem or TOO_MANY
            item.counted = bool(item.split) and item.problem != TWICE
            yield item
        for name in sorted(present - listed):
            yield Item("", "", Path(name).stem, f"{within_source}/{name}", problem=UNLISTED, counted=False)

    def _check(self, places: _Places, labels: Labels) -> int:
        """Return the maximum number of values in a line of the list.

        Raises:
            DataError: most lines have more than two and the code's column is ambiguous, or the codes are not RAF-DB's.
        """
        found: Counter[str] = Counter()
        others: Counter[str] = Counter()
        wide, first = 0, ""
        for number, line in enumerate(lines_of(places.labels), 1):
            entry = parse_line(line) if line else None
            if entry is None:
                continue
            found.update(count_codes(entry[1:2]))
            others.update(count_codes(entry[2:]))
            if len(entry) > 2:
                wide, first = wide + 1, first or f"line {number} has {len(entry)} columns"
        refuse_compound(places.labels, places.compound, labels, found)
        if 2 * wide > found.total() and not labels.is_label_column(found, others):
            raise DataError(f"{places.labels}: {first}, expected: name code")
        labels.check(places.labels, found)
        return MAX_LINE if 2 * wide > found.total() else 2

    def _places(self, source: Path) -> _Places | None:
        for root in (source, source / "basic", source / COMPOUND):
            labels = first_file(root, [*(f"EmoLabel/{name}" for name in LISTS), *LISTS])
            pictures = first_folder(root, self._folders)
            boxes = first_folder(root, ("Annotation/boundingbox", "boundingbox")) if self._boxed else None
            if labels and pictures and (boxes or not self._boxed):
                return _Places(labels, pictures, boxes, root.resolve().name.lower() == COMPOUND)
        return None

    def _fill(
        self, item: Item, entry: list[str], labels: Labels, places: _Places, present: set[str], listed: set[str]
    ) -> None:
        """Fill in the item from its line, or set its problem."""
        name, path = entry[0], PurePosixPath(within(entry[0]) or "")
        item.name, item.split = path.stem or item.name, split_by_name(name) or ""
        item.emotion, unknown, left_out = labels.of(entry[1])
        if path.parent != PurePosixPath() or not path.name:
            item.problem = OUTSIDE
            return
        # Some copies of the aligned faces lack `_aligned` in their names.
        spelled = [path.name] if self._boxed else [f"{path.stem}_aligned{path.suffix}", path.name]
        found = next((each for each in spelled if each in present), None)
        if found is None:
            item.problem = MISSING
        elif found in listed:
            item.problem = TWICE
        elif not item.split:
            item.problem = NO_SPLIT
        elif unknown or left_out:
            item.problem, item.left_out = unknown, left_out
        elif places.boxes:
            item.box = read_box(places.boxes / f"{path.stem}_boundingbox.txt")
            item.problem = "" if item.box else WRONG_BOX
        if found:
            listed.add(found)
            item.file = places.pictures / found


class RafDbOriginal(RafDb):
    """The original photographs, from which the listed faces are cropped."""

    name = "raf-db-original"
    title = "RAF-DB, faces cropped from the original photographs"
    expects = "basic/ with EmoLabel/list_patition_label.txt, Image/original/ and Annotation/boundingbox/"
    _folders: ClassVar[tuple[str, ...]] = ("Image/original/original", "Image/original", "original/original", "original")
    _boxed: ClassVar[bool] = True


def read_box(path: Path) -> Box | None:
    """Return the box in a file `left top right bottom`, or None if the file is missing or has none."""
    try:
        with open_file(path) as file:
            ends = file.read(4096).decode("ascii", "replace").replace(",", " ").split()
    except OSError:
        return None
    return box_between(*ends) if len(ends) == 4 else None
