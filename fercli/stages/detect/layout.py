"""Which photographs a folder holds, and what their folders say of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fercli.datasets.index import UNLABELLED
from fercli.datasets.readers.base import Item, emotion_folders, pictures_in
from fercli.datasets.readers.folders import items_of, split_folders
from fercli.errors import DataError
from fercli.images import SUFFIXES

UNKNOWN = "unknown emotion"


def photographs_in(source: Path) -> list[Item]:
    """Return the photographs of a folder, or the one photograph, in a fixed order.

    `<split>/<emotion>/…` is kept, `<emotion>/…` leaves the split open, all else is unlabelled. Where folders are named
    after emotions, a picture that lies in none of them is an item with a problem; one beside those folders (a contact
    sheet) is none.

    Raises:
        DataError: there is no picture.
    """
    items = list(_items(source))
    if not items:
        endings = " ".join(sorted(SUFFIXES))
        raise DataError(f"{source}: no picture in it (read are {endings}); give a folder of photographs")
    return items


def _items(source: Path) -> Iterator[Item]:
    if source.is_file():
        yield Item(UNLABELLED, "", source.stem, source.name, file=source)
        return
    splits = split_folders(source)
    if splits:
        for split, folder in splits:
            yield from items_of(source, split, folder)
        yield from _strays(source, {folder.name for _, folder in splits})
        return
    emotions = emotion_folders(source)
    if len(emotions) > 1 or (emotions and all(_top(source, file) in emotions for file in pictures_in(source))):
        yield from items_of(source, "", source)
        return
    for file in pictures_in(source):
        yield Item(UNLABELLED, "", file.stem, file.relative_to(source).as_posix(), file=file)


def _top(source: Path, file: Path) -> str:
    return file.relative_to(source).parts[0]


def _strays(source: Path, known: set[str]) -> Iterator[Item]:
    """Yield the pictures in folders that are no split's."""
    for file in pictures_in(source):
        parts = file.relative_to(source).parts
        if len(parts) > 1 and parts[0] not in known:
            yield Item("", "", file.stem, "/".join(parts), file=file, problem=UNKNOWN)
