"""FER2013 in folders: train/ and test/ by emotion, with PublicTest and PrivateTest distinguished by file name.

This form has both of the challenge's test sets under test/ (`PublicTest_123.jpg`, `PrivateTest_123.jpg`), so the prefix
of the file name decides: PublicTest is validation, PrivateTest is test.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, ImportOptions, Item, emotion_folders, pictures_in
from fercli.datasets.readers.fer2013_csv import PUBLISHED
from fercli.datasets.readers.folders import SplitFolders, has_only_test, split_folders

PREFIXES: dict[str, str] = {"training": "train", "publictest": "validation", "privatetest": "test"}


def split_by_name(name: str) -> str | None:
    """Return the split for a file name's prefix, or None.

    >>> split_by_name("PublicTest_10089999.jpg"), split_by_name("face_1.jpg")
    ('validation', None)
    """
    return PREFIXES.get(name.split("_")[0].lower()) if "_" in name else None


class Fer2013Folders:
    """train/<emotion>/Training_*.jpg and test/<emotion>/{PublicTest,PrivateTest}_*.jpg."""

    name = "fer2013-folders"
    title = "FER2013 in folders"
    expects = "train/ and test/ by emotion with files named Training_*, PublicTest_* and PrivateTest_*"
    published: ClassVar[dict[str, int]] = PUBLISHED

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether the first files of a split's folder have the prefixes; test/ alone is a test split."""
        if has_only_test(source, options):
            return False
        for _, folder in split_folders(source, options):
            for emotion in emotion_folders(folder, options).values():
                if any(split_by_name(path.name) in ("validation", "test") for path in islice(pictures_in(emotion), 50)):
                    return True
        return False

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the images; without a prefix they get the folder's split, unless the folder holds both test sets."""
        for item in SplitFolders().read(source, options):
            by_name = split_by_name(Path(item.source).name)
            if by_name is None and item.split == "test" and not options.split:
                item.problem = "no PublicTest or PrivateTest prefix"
            item.split = by_name or item.split
            yield item
