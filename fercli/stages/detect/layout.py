"""The photographs and videos of a folder, with split and emotion from their folders' names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fercli.artifacts import is_artifact
from fercli.datasets.index import UNLABELLED
from fercli.datasets.media import media_in
from fercli.datasets.readers.base import Item, emotion_folders, path_within
from fercli.datasets.readers.folders import NO_FOLDER, nested, split_folders
from fercli.datasets.readers.unread import NOT_USED, VIDEO, Seen, unread
from fercli.emotions import canonical
from fercli.errors import DataError
from fercli.images import SUFFIXES, stem_of

UNKNOWN = "unknown emotion"


class Photographs:
    """The photographs and videos in a folder, or a single file, in a fixed order.

    `<split>/<emotion>/…` is kept, `<emotion>/…` leaves the split unassigned, anything else is unlabelled. If folders
    are named after emotions, a picture in any other folder is an item with a problem; one beside those folders (a
    contact sheet) is ignored. Folders that only wrap these (photographs/train/happy) are descended into, at any depth.

    Each iteration walks the folder again, so that the items of a million pictures need not be held in memory.

    Raises:
        DataError: there is no picture.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._count = sum(1 for _ in self)
        if not self._count:
            suffixes = " ".join(sorted(SUFFIXES))
            raise DataError(
                f"{source}: no image in it (supported: {suffixes}, and videos); pass a folder of photographs or videos"
            )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        source = self._source
        if source.is_file():
            return iter([Item(UNLABELLED, "", stem_of(source), source.name, file=source)])
        for folder in nested(source):
            if splits := split_folders(folder):
                return _by_split(source, folder, splits)
            emotions = emotion_folders(folder)
            if len(emotions) > 1 or (
                emotions and all(_top_folder(folder, file) in emotions for file in media_in(folder))
            ):
                return _by_emotion(source, "", folder)
        return (Item(UNLABELLED, "", stem_of(file), path_within(source, file), file=file) for file in media_in(source))

    def unread(self) -> Iterator[tuple[str, str]]:
        """Yield (reason, path within the source) for each file that is not an item, except hidden ones."""
        if not self._source.is_dir() or is_artifact(self._source):
            return
        seen = Seen()
        for item in self:
            seen.add(item.source)
        for reason, name in unread(self._source, seen):
            yield NO_FOLDER if reason in (NOT_USED, VIDEO) else reason, name


def item_path(source: Path, within: str) -> Path:
    """Return the path of an item from its path within the source."""
    return source if source.is_file() else source / within


def _top_folder(source: Path, file: Path) -> str:
    return file.relative_to(source).parts[0]


def _by_split(source: Path, root: Path, splits: list[tuple[str, Path]]) -> Iterator[Item]:
    for split, folder in splits:
        yield from _by_emotion(source, split, folder)
    yield from _strays(source, root, {_top_folder(root, folder) for _, folder in splits})


def _by_emotion(source: Path, split: str, folder: Path) -> Iterator[Item]:
    for name in sorted(entry for entry in os.listdir(folder) if not entry.startswith(".")):
        emotion = canonical(name) or ""
        for file in media_in(folder / name) if (folder / name).is_dir() else ():
            within = path_within(source, file)
            yield Item(split, emotion, stem_of(file), within, file=file, problem="" if emotion else UNKNOWN)


def _strays(source: Path, root: Path, known: set[str]) -> Iterator[Item]:
    """Yield the pictures in folders other than the splits'."""
    for name in sorted(entry for entry in os.listdir(root) if not entry.startswith(".") and entry not in known):
        for file in media_in(root / name) if (root / name).is_dir() else ():
            yield Item("", "", stem_of(file), path_within(source, file), file=file, problem=UNKNOWN)
