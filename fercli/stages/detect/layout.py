"""Which photographs and videos a folder holds, and what their folders say of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fercli.datasets.index import UNLABELLED
from fercli.datasets.media import media_in
from fercli.datasets.readers.base import Item, emotion_folders
from fercli.datasets.readers.folders import split_folders
from fercli.emotions import canonical
from fercli.errors import DataError
from fercli.images import SUFFIXES

UNKNOWN = "unknown emotion"


class Photographs:
    """The photographs and videos of a folder, or the one file, in a fixed order.

    `<split>/<emotion>/…` is kept, `<emotion>/…` leaves the split open, all else is unlabelled. Where folders are named
    after emotions, a picture that lies in none of them is an item with a problem; one beside those folders (a contact
    sheet) is none.

    The folder is walked anew by each iteration: items of a million pictures are not held.

    Raises:
        DataError: there is no picture.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._count = sum(1 for _ in self)
        if not self._count:
            endings = " ".join(sorted(SUFFIXES))
            raise DataError(
                f"{source}: no picture in it (read are {endings}, and videos); give a folder of photographs or videos"
            )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        source = self._source
        if source.is_file():
            return iter([Item(UNLABELLED, "", source.stem, source.name, file=source)])
        if splits := split_folders(source):
            return _by_split(source, splits)
        emotions = emotion_folders(source)
        if len(emotions) > 1 or (emotions and all(_top(source, file) in emotions for file in media_in(source))):
            return _by_emotion(source, "", source)
        return (
            Item(UNLABELLED, "", file.stem, file.relative_to(source).as_posix(), file=file) for file in media_in(source)
        )


def file_of(source: Path, within: str) -> Path:
    """Return the file of an item by what it is called within the source."""
    return source if source.is_file() else source / within


def _top(source: Path, file: Path) -> str:
    return file.relative_to(source).parts[0]


def _by_split(source: Path, splits: list[tuple[str, Path]]) -> Iterator[Item]:
    for split, folder in splits:
        yield from _by_emotion(source, split, folder)
    yield from _strays(source, {folder.name for _, folder in splits})


def _by_emotion(source: Path, split: str, folder: Path) -> Iterator[Item]:
    for name in sorted(entry for entry in os.listdir(folder) if not entry.startswith(".")):
        emotion = canonical(name) or ""
        for file in media_in(folder / name) if (folder / name).is_dir() else ():
            within = file.relative_to(source).as_posix()
            yield Item(split, emotion, file.stem, within, file=file, problem="" if emotion else UNKNOWN)


def _strays(source: Path, known: set[str]) -> Iterator[Item]:
    """Yield the pictures in folders that are no split's."""
    for file in media_in(source):
        parts = file.relative_to(source).parts
        if len(parts) > 1 and parts[0] not in known:
            yield Item("", "", file.stem, "/".join(parts), file=file, problem=UNKNOWN)
