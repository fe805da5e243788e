"""Plain folders of pictures: `<split>/<emotion>/…`, or `<emotion>/…` without splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercli.datasets.readers.base import ANY, Item, Wanted, emotion_folders, pictures_in
from fercli.errors import DataError
from fercli.images import is_picture

SPLIT_NAMES: dict[str, str] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "publictest": "validation",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}
"""What folders of a split are called in the wild."""


UNKNOWN_EMOTION = "unknown emotion"
NO_FOLDER = "in no folder of an emotion"
NO_SPLIT = "in no folder of a split"


def split_folders(source: Path, wanted: Wanted = ANY) -> list[tuple[str, Path]]:
    """Return (split, folder) for the sub-folders that are named after a split and hold emotions."""
    if not source.is_dir():
        return []
    found = []
    for path in sorted(path for path in source.iterdir() if path.name.lower() in SPLIT_NAMES):
        if path.is_dir() and emotion_folders(path, wanted):
            found.append((SPLIT_NAMES[path.name.lower()], path))
    return found


def items_of(source: Path, split: str, folder: Path, wanted: Wanted = ANY) -> Iterator[Item]:
    """Yield an item for each picture of a folder of emotion folders, in order of emotion folder and path.

    Pictures in a folder that is named after no emotion are items with a problem, so that they are told of; those in one
    that the call leaves out, or in no folder, are told of without one.
    """
    yield from loose(source, folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        emotion = wanted.emotion(path.name) or ""
        unwanted = wanted.unwanted(path.name)
        for file in pictures_in(path):
            item = Item(split, emotion, file.stem, file.relative_to(source).as_posix(), file=file)
            if unwanted:
                item.left_out = "left out by --map"
            elif not emotion:
                item.problem = UNKNOWN_EMOTION
            yield item


def loose(source: Path, folder: Path) -> Iterator[Item]:
    """Yield an item for each picture that stands in `folder` itself, beside its sub-folders: nothing is dropped unsaid.

    No split counts them: beside a published set such a picture is mostly somebody's own.
    """
    for path in sorted(folder.iterdir()):
        if is_picture(path) and path.is_file() and not path.name.startswith("."):
            name = path.relative_to(source).as_posix()
            yield Item("", "", path.stem, name, file=path, left_out=NO_FOLDER, counted=False)


class SplitFolders:
    """`<split>/<emotion>/<picture>`: a data set whose splits are given."""

    name = "folders"
    title = "folders by split and emotion"
    wants = "a folder train/<emotion>/ with validation/ and test/ beside it as far as there are any"
    published: ClassVar[dict[str, int]] = {}

    def recognises(self, source: Path, wanted: Wanted = ANY) -> bool:
        """Tell whether a sub-folder is named after a split and holds emotions."""
        return bool(split_folders(source, wanted))

    def read(self, source: Path, wanted: Wanted = ANY) -> Iterator[Item]:
        """Yield the pictures split by split."""
        splits = split_folders(source, wanted)
        if not splits:
            raise DataError(f"{source}: no folder is named after a split (train, validation, test) and holds emotions")
        for split, folder in splits:
            yield from items_of(source, split, folder, wanted)
        yield from loose(source, source)
        for path in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
            if path not in {folder for _, folder in splits}:
                for file in pictures_in(path):
                    name = file.relative_to(source).as_posix()
                    yield Item("", "", file.stem, name, file=file, left_out=NO_SPLIT, counted=False)


class EmotionFolders:
    """`<emotion>/<picture>`: a data set without splits, which the import stage cuts 80/10/10 by emotion."""

    name = "emotions"
    title = "folders by emotion"
    wants = "a folder <emotion>/ for each emotion (angry, disgust, …), split 80/10/10"
    published: ClassVar[dict[str, int]] = {}

    def recognises(self, source: Path, wanted: Wanted = ANY) -> bool:
        """Tell whether at least two sub-folders are named after emotions."""
        return len(emotion_folders(source, wanted)) >= 2

    def read(self, source: Path, wanted: Wanted = ANY) -> Iterator[Item]:
        """Yield the pictures, their split left open."""
        if not emotion_folders(source, wanted):
            raise DataError(f"{source}: no folder is named after an emotion (angry, disgust, fear, happy, …)")
        yield from items_of(source, "", source, wanted)
