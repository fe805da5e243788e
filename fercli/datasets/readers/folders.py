"""Plain folders of pictures: `<split>/<emotion>/…`, `<emotion>/…` without splits, or pictures without labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercli.datasets.index import UNLABELLED
from fercli.datasets.readers.base import ANY, ImportOptions, Item, emotion_folders, pictures_in
from fercli.errors import DataError
from fercli.images import is_image_file, stem_of

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


def nested(source: Path, wanted: ImportOptions = ANY) -> Iterator[Path]:
    """Yield a source, then the folders within it that only wrap what it holds: `images/images/train/…`.

    A folder wraps where it holds one folder (files may lie beside it) whose name is neither an emotion nor a split,
    for such a name says something of the pictures.
    """
    for folder in _lone(source):
        name = folder.name
        if folder is not source and (name.lower() in SPLIT_NAMES or wanted.emotion(name) or wanted.unwanted(name)):
            return
        yield folder


def _lone(folder: Path) -> Iterator[Path]:
    """Yield a folder, the one folder in it, the one folder in that, and so on."""
    seen: set[tuple[int, int]] = set()
    while True:
        yield folder
        stat = folder.stat()
        if not folder.is_dir() or (stat.st_dev, stat.st_ino) in seen:
            return
        seen.add((stat.st_dev, stat.st_ino))
        inner = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")) and path.is_dir()]
        if len(inner) != 1:
            return
        folder = inner[0]


def split_folders(source: Path, wanted: ImportOptions = ANY) -> list[tuple[str, Path]]:
    """Return (split, folder of the emotions) for the sub-folders that are named after a split and hold emotions.

    Some archives wrap a split once more: train/train/happy.
    """
    if not source.is_dir():
        return []
    found = []
    for path in sorted(path for path in source.iterdir() if path.name.lower() in SPLIT_NAMES and path.is_dir()):
        if inner := next((folder for folder in _lone(path) if emotion_folders(folder, wanted)), None):
            found.append((SPLIT_NAMES[path.name.lower()], inner))
    return found


def is_test_alone(source: Path, wanted: ImportOptions = ANY) -> bool:
    """Tell whether a folder's only split is a test split: then it is one, whatever its files are called."""
    return {split for split, _ in split_folders(source, wanted)} == {"test"}


def items_of(source: Path, split: str, folder: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
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
            item = Item(split, emotion, stem_of(file), file.relative_to(source).as_posix(), file=file)
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
        if path.is_file() and is_image_file(path) and not path.name.startswith("."):
            name = path.relative_to(source).as_posix()
            yield Item("", "", stem_of(path), name, file=path, left_out=NO_FOLDER, counted=False)


class SplitFolders:
    """`<split>/<emotion>/<picture>`: a data set whose splits are given."""

    name = "folders"
    title = "folders by split and emotion"
    wants = "a folder train/<emotion>/ with validation/ and test/ beside it as far as there are any"
    published: ClassVar[dict[str, int]] = {}

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether a sub-folder is named after a split and holds emotions."""
        return bool(split_folders(source, wanted))

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the pictures split by split."""
        splits = split_folders(source, wanted)
        if not splits:
            raise DataError(f"{source}: no folder is named after a split (train, validation, test) and holds emotions")
        for split, folder in splits:
            yield from items_of(source, split, folder, wanted)
        yield from loose(source, source)
        for path in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
            if not any(folder.is_relative_to(path) for _, folder in splits):
                for file in pictures_in(path):
                    name = file.relative_to(source).as_posix()
                    yield Item("", "", stem_of(file), name, file=file, left_out=NO_SPLIT, counted=False)


class EmotionFolders:
    """`<emotion>/<picture>`: a data set without splits, which the import stage cuts 80/10/10 by emotion."""

    name = "emotions"
    title = "folders by emotion"
    wants = "a folder <emotion>/ for each emotion (angry, disgust, …), split 80/10/10"
    published: ClassVar[dict[str, int]] = {}

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether at least two sub-folders are named after emotions."""
        return len(emotion_folders(source, wanted)) >= 2

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the pictures, their split left open."""
        if not emotion_folders(source, wanted):
            raise DataError(f"{source}: no folder is named after an emotion (angry, disgust, fear, happy, …)")
        within = _splits_within(source, wanted)
        for item in items_of(source, "", source, wanted):
            if within and item.left_out != NO_FOLDER:
                item.split = SPLIT_NAMES.get(item.source.split("/")[1].lower(), "")
            yield item


def _splits_within(source: Path, wanted: ImportOptions) -> bool:
    """Tell whether each emotion's folder holds folders named after splits, and nothing else: `happy/train/…`."""
    for folder in emotion_folders(source, wanted).values():
        shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if not shown or not all(path.name.lower() in SPLIT_NAMES and path.is_dir() for path in shown):
            return False
    return True


class Unlabelled:
    """Pictures without labels: what a model is to be asked about, or people are to label."""

    name = "unlabelled"
    title = "pictures without labels"
    wants = "a folder of pictures without labels (--format unlabelled where they lie in folders of their own)"
    published: ClassVar[dict[str, int]] = {}

    def recognises(self, source: Path, wanted: ImportOptions = ANY) -> bool:
        """Tell whether pictures lie in the folder itself, and in no folder below it: such a name might be a label."""
        return source.is_dir() and {file.parent for file in pictures_in(source)} == {source}

    def read(self, source: Path, wanted: ImportOptions = ANY) -> Iterator[Item]:
        """Yield all pictures, whatever their folders are called."""
        if not source.is_dir() or next(pictures_in(source), None) is None:
            raise DataError(f"{source}: no picture in it; give a folder of pictures")
        for file in pictures_in(source):
            yield Item(UNLABELLED, "", stem_of(file), file.relative_to(source).as_posix(), file=file)
