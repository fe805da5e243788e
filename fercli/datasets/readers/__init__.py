"""Readers of published data sets, one file a layout, and the table of them.

A reader recognises its layout and yields items; the import stage writes them. To add one: a file here with a class
that follows `base.Reader`, and a line in `READERS`. The common suite in tests/datasets/readers runs over the table.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fercli.datasets.readers.affectnet_csv import AffectNetAutomatic, AffectNetCsv
from fercli.datasets.readers.affectnet_npy import AffectNetNpy
from fercli.datasets.readers.base import ANY, Item, Reader, Wanted
from fercli.datasets.readers.ckplus import CkPlus
from fercli.datasets.readers.ckplus_folders import CkPlusFolders
from fercli.datasets.readers.expw import ExpW
from fercli.datasets.readers.fer2013_csv import Fer2013Csv
from fercli.datasets.readers.fer2013_folders import Fer2013Folders
from fercli.datasets.readers.ferplus import FerPlus
from fercli.datasets.readers.folders import EmotionFolders, SplitFolders, Unlabelled, nested
from fercli.datasets.readers.jaffe import Jaffe
from fercli.datasets.readers.raf_db import RafDb, RafDbOriginal
from fercli.datasets.readers.raf_db_folders import RafDbFolders
from fercli.datasets.readers.sfew import Sfew, SfewAligned
from fercli.errors import DataError, UsageError, did_you_mean

READERS: tuple[Reader, ...] = (
    FerPlus(),
    RafDb(),
    RafDbOriginal(),
    RafDbFolders(),
    AffectNetCsv(),
    AffectNetAutomatic(),
    AffectNetNpy(),
    ExpW(),
    SfewAligned(),
    Sfew(),
    Fer2013Csv(),
    Fer2013Folders(),
    CkPlus(),
    CkPlusFolders(),
    Jaffe(),
    SplitFolders(),
    EmotionFolders(),
    Unlabelled(),
)
"""All readers, the more particular layout before the more general: the first that recognises a source reads it."""

GENERAL = ("folders", "emotions", "unlabelled")
"""The layouts that published sets may have too."""

ALONE = ("unlabelled",)
"""The layouts without labels: taken by looking where the source is none of the others, wrapped or not."""

__all__ = ["READERS", "Item", "Reader", "Wanted", "find_others", "find_reader", "locate"]


def find_reader(source: Path, name: str | None = None, wanted: Wanted = ANY) -> Reader:
    """Return the reader that `locate` finds."""
    return locate(source, name, wanted)[0]


def locate(source: Path, name: str | None = None, wanted: Wanted = ANY) -> tuple[Reader, Path]:
    """Return the reader called `name`, or the first that recognises `source`, and the folder that it is to read.

    That is the source itself, or a folder that it only wraps (see `folders.nested`).

    Raises:
        UsageError: there is no reader of that name.
        DataError: the source is not there, is empty, or no reader recognises it.
    """
    if name is not None:
        by_name = {reader.name: reader for reader in READERS}
        if name not in by_name:
            raise UsageError(did_you_mean("format", name, list(by_name)))
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    readers = [by_name[name]] if name is not None else READERS
    try:
        if source.is_dir() and not any(source.iterdir()):
            raise DataError(f"{source}: the folder is empty")
        # What a wrapping folder holds goes before the pictures beside it; those without labels are nobody else's.
        places = [(root, [r for r in readers if r.name not in ALONE]) for root in nested(source, wanted)]
        for root, able in [*places, (source, [r for r in readers if r.name in ALONE])]:
            for reader in able:
                if reader.recognises(root, wanted):
                    return reader, root
    except OSError as error:
        raise DataError(f"{error.filename or source}: {error.strerror or error}") from error
    if name is not None:
        return by_name[name], source
    general = "; ".join(reader.wants for reader in READERS if reader.name in GENERAL)
    raise DataError(
        f"{source}: no known layout; give {general} (--map where folders bear other words), or a published set as "
        "fer import --list tells"
    )


def find_others(source: Path, taken: Reader, wanted: Wanted = ANY) -> list[str]:
    """Return the names of the other published sets that a source seems to hold as well."""
    with suppress(OSError, DataError):
        readers = (reader for reader in READERS if reader is not taken and reader.name not in GENERAL)
        return [reader.name for reader in readers if reader.recognises(source, wanted)]
    return []
