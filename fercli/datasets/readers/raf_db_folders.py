"""RAF-DB as it is commonly redistributed: train/ and test/ with folders named by the codes 1 to 7.

`DATASET/train/5/train_00001_aligned.jpg`, with equivalent `train_labels.csv` and `test_labels.csv` beside them. Other
datasets have folders named by code too, with other meanings, so this layout is detected by its file names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item, pictures_in
from fercli.datasets.readers.codes import Labels, code_of
from fercli.datasets.readers.folders import SPLIT_NAMES
from fercli.datasets.readers.raf_db import CODES, COMPOUND, NO_SPLIT, PUBLISHED, refuse_compound, split_by_name
from fercli.errors import DataError

_NAME = re.compile(r"(train|test)_[0-9]+(_aligned)?", re.IGNORECASE)


class RafDbFolders:
    """train/<code>/train_*_aligned.jpg and test/<code>/test_*_aligned.jpg."""

    name = "raf-db-folders"
    title = "RAF-DB in folders by code"
    expects = "train/1/ to train/7/ and test/1/ to test/7/ with files named train_00001_aligned.jpg"
    published: ClassVar[dict[str, int]] = PUBLISHED

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the first files of a code folder are named like RAF-DB's."""
        for split in _splits(source):
            for code in _codes(split):
                if any(_NAME.fullmatch(path.stem) for path in islice(pictures_in(code), 50)):
                    return True
        return False

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the images folder by folder; an image in a folder without a code is an item with a problem."""
        splits = _splits(source)
        if not any(_codes(split) for split in splits):
            raise DataError(f"{source}: not RAF-DB's layout; {self.name} expects {self.expects}")
        labels = Labels(CODES, options)
        found: Counter[str] = Counter()
        for code in (code for split in splits for code in _codes(split)):
            found[code_of(code.name) or ""] += sum(1 for _ in pictures_in(code))
        found = +found  # a folder without images proves nothing
        refuse_compound(source, source.resolve().name.lower() == COMPOUND, labels, found)
        labels.check(source, found)
        for folder in splits:
            for code in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
                emotion, unknown, left_out = labels.of(code.name)
                for file in pictures_in(code):
                    split, place = split_by_name(file.name), SPLIT_NAMES[folder.name.lower()]
                    if place == "validation" and split == "train":  # split off by a redistributor
                        split = place
                    item = Item(split or "", emotion, file.stem, file.relative_to(source).as_posix(), file=file)
                    if unknown or left_out:
                        item.problem, item.left_out = unknown, left_out
                    elif split != place and not options.split:
                        item.problem = "prefix and folder differ" if split else NO_SPLIT
                    item.counted = bool(split)
                    yield item


def _splits(source: Path) -> list[Path]:
    """Return the folders train, test and val or valid of the source, or of the only folder its archive contains."""
    names = ["train", "test", *(name for name, split in SPLIT_NAMES.items() if split == "validation")]
    for root in (source, source / "DATASET"):
        if found := [root / name for name in names if (root / name).is_dir()]:
            return found
    return []


def _codes(split: Path) -> list[Path]:
    return [path for path in sorted(split.iterdir()) if code_of(path.name) is not None and path.is_dir()]
