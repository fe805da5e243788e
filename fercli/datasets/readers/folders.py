"""Plain image folders: `<split>/<emotion>/…`, `<emotion>/…` without splits, or images without labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercli.datasets.index import UNLABELLED
from fercli.datasets.readers.base import ANY, ImportOptions, Item, emotion_folders, path_within, pictures_in
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
"""Common names of split folders."""


UNKNOWN_EMOTION = "unknown emotion"
NO_FOLDER = "not in an emotion folder"
NO_SPLIT = "not in a split folder"


def nested(source: Path, options: ImportOptions = ANY) -> Iterator[Path]:
    """Yield a source, then the nested folders that merely wrap its contents: `images/images/train/…`.

    A folder is a wrapper if it has exactly one sub-folder (files beside it are allowed) whose name is neither an
    emotion nor a split, since such a name is a label.
    """
    for folder in _lone(source):
        name = folder.name
        if folder is not source and (name.lower() in SPLIT_NAMES or options.emotion(name) or options.excluded(name)):
            return
        yield folder


def _lone(folder: Path) -> Iterator[Path]:
    """Yield a folder, its only sub-folder, the only sub-folder of that, and so on."""
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


def split_folders(source: Path, options: ImportOptions = ANY) -> list[tuple[str, Path]]:
    """Return (split, folder with the emotion folders) for the sub-folders named after a split.

    Some archives nest a split once more: train/train/happy.
    """
    if not source.is_dir():
        return []
    found = []
    for path in sorted(path for path in source.iterdir() if path.name.lower() in SPLIT_NAMES and path.is_dir()):
        if inner := next((folder for folder in _lone(path) if emotion_folders(folder, options)), None):
            found.append((SPLIT_NAMES[path.name.lower()], inner))
    return found


def has_only_test(source: Path, options: ImportOptions = ANY) -> bool:
    """Return whether a folder's only split is test, which then applies regardless of file names."""
    return {split for split, _ in split_folders(source, options)} == {"test"}


def items_of(source: Path, split: str, folder: Path, options: ImportOptions = ANY) -> Iterator[Item]:
    """Yield an item for each image in a folder of emotion folders, ordered by emotion folder and path.

    Images in a folder not named after an emotion are items with a problem, so that they are reported; those in an
    excluded folder, or in no folder, are reported as excluded.
    """
    yield from loose(source, folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        emotion = options.emotion(path.name) or ""
        excluded = options.excluded(path.name)
        for file in pictures_in(path):
            item = Item(split, emotion, stem_of(file), path_within(source, file), file=file)
            if excluded:
                item.left_out = "excluded by --map"
            elif not emotion:
                item.problem = UNKNOWN_EMOTION
            yield item


def loose(source: Path, folder: Path) -> Iterator[Item]:
    """Yield an item for each image directly in `folder`, beside its sub-folders, so that nothing is dropped silently.

    They do not count towards the published numbers: beside a published dataset they are usually the user's own.
    """
    for path in sorted(folder.iterdir()):
        if path.is_file() and is_image_file(path) and not path.name.startswith("."):
            name = path.relative_to(source).as_posix()
            yield Item("", "", stem_of(path), name, file=path, left_out=NO_FOLDER, counted=False)


class SplitFolders:
    """`<split>/<emotion>/<image>`: a dataset with given splits."""

    name = "folders"
    title = "folders by split and emotion"
    expects = "a folder train/<emotion>/, optionally with validation/ and test/ beside it"
    published: ClassVar[dict[str, int]] = {}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether a sub-folder is named after a split and contains emotion folders."""
        return bool(split_folders(source, options))

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the images split by split."""
        splits = split_folders(source, options)
        if not splits:
            raise DataError(
                f"{source}: no folder is named after a split (train, validation, test) and contains emotion folders"
            )
        for split, folder in splits:
            yield from items_of(source, split, folder, options)
        yield from loose(source, source)
        for path in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
            if not any(folder.is_relative_to(path) for _, folder in splits):
                for file in pictures_in(path):
                    name = path_within(source, file)
                    yield Item("", "", stem_of(file), name, file=file, left_out=NO_SPLIT, counted=False)


class EmotionFolders:
    """`<emotion>/<image>`: a dataset without splits, which the import stage splits 80/10/10, stratified by emotion."""

    name = "emotions"
    title = "folders by emotion"
    expects = "a folder <emotion>/ for each emotion (angry, disgust, …), split 80/10/10"
    published: ClassVar[dict[str, int]] = {}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether at least two sub-folders are named after emotions."""
        return len(emotion_folders(source, options)) >= 2

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield the images, without splits."""
        if not emotion_folders(source, options):
            raise DataError(f"{source}: no folder is named after an emotion (angry, disgust, fear, happy, …)")
        within = _splits_within(source, options)
        for item in items_of(source, "", source, options):
            if within and item.left_out != NO_FOLDER:
                item.split = SPLIT_NAMES.get(item.source.split("/")[1].lower(), "")
            yield item


def _splits_within(source: Path, options: ImportOptions) -> bool:
    """Return whether each emotion folder contains nothing but split folders: `happy/train/…`."""
    for folder in emotion_folders(source, options).values():
        shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if not shown or not all(path.name.lower() in SPLIT_NAMES and path.is_dir() for path in shown):
            return False
    return True


class Unlabelled:
    """Images without labels, for prediction or annotation."""

    name = "unlabelled"
    title = "images without labels"
    expects = "a folder of images without labels (with --format unlabelled also in sub-folders)"
    published: ClassVar[dict[str, int]] = {}

    def matches(self, source: Path, options: ImportOptions = ANY) -> bool:
        """Return whether all images are directly in the folder: a sub-folder's name might be a label."""
        return source.is_dir() and {file.parent for file in pictures_in(source)} == {source}

    def read(self, source: Path, options: ImportOptions = ANY) -> Iterator[Item]:
        """Yield all images, whatever their folders are called."""
        if not source.is_dir() or next(pictures_in(source), None) is None:
            raise DataError(f"{source}: no images found; give a folder of images")
        for file in pictures_in(source):
            yield Item(UNLABELLED, "", stem_of(file), path_within(source, file), file=file)
