"""Readers of published datasets, one module per layout, and their registry.

A reader detects its layout and yields items; the import stage writes them. To add one, implement `base.Reader` in a
module here and add a line to `READERS`. The common test suite in tests/datasets/readers runs over the registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from fercli.datasets.readers.affectnet_csv import AffectNetAutomatic, AffectNetCsv
from fercli.datasets.readers.affectnet_npy import AffectNetNpy
from fercli.datasets.readers.base import ANY, ImportOptions, Item, Reader
from fercli.datasets.readers.ckplus import CkPlus
from fercli.datasets.readers.ckplus_folders import CkPlusFolders
from fercli.datasets.readers.codes import code_of
from fercli.datasets.readers.expw import ExpW
from fercli.datasets.readers.fer2013_csv import CkPlusCsv, Fer2013Csv, Fer2013Train
from fercli.datasets.readers.fer2013_folders import Fer2013Folders
from fercli.datasets.readers.ferplus import FerPlus
from fercli.datasets.readers.folders import SPLIT_NAMES, EmotionFolders, SplitFolders, Unlabelled, nested
from fercli.datasets.readers.jaffe import Jaffe
from fercli.datasets.readers.raf_db import RafDb, RafDbOriginal
from fercli.datasets.readers.raf_db_folders import RafDbFolders
from fercli.datasets.readers.sfew import Sfew, SfewAligned
from fercli.datasets.readers.table import Table
from fercli.errors import DataError, UsageError
from fercli.registry import Registry

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
    Fer2013Train(),
    Fer2013Folders(),
    CkPlus(),
    CkPlusFolders(),
    CkPlusCsv(),
    Jaffe(),
    SplitFolders(),
    EmotionFolders(),
    Table(),
    Unlabelled(),
)
"""All readers, specific layouts before general ones: the first that matches a source reads it."""


def _adapt(name: str, given: Any) -> Reader:
    """Return the reader of a plugin, given as a reader or as a callable without arguments that returns one."""
    reader = given() if callable(given) else given
    parts = ("name", "title", "expects", "published", "matches", "read")
    if missing := [part for part in parts if not hasattr(reader, part)]:
        raise TypeError(f"{name} is not a reader: it has no {' and no '.join(missing)}")
    return cast(Reader, reader)


REGISTRY: Registry[Reader] = Registry(
    "format", "fercli.readers", {reader.name: reader for reader in READERS}, _adapt, "fer import --list lists all"
)
"""The readers by name. Those of plugins are used only if selected by name; they do not take part in detection."""

GENERAL = ("folders", "emotions", "table", "unlabelled")
"""Generic layouts, which published datasets may have as well."""

LAST = ("unlabelled",)
"""Layouts without labels: detected only if no other layout matches, nested folders included."""

__all__ = ["READERS", "REGISTRY", "ImportOptions", "Item", "Reader", "files_of", "find_others", "find_reader", "locate"]


def find_reader(source: Path, name: str | None = None, options: ImportOptions = ANY) -> Reader:
    """Return the reader found by `locate`."""
    return locate(source, name, options)[0]


def locate(source: Path, name: str | None = None, options: ImportOptions = ANY) -> tuple[Reader, Path]:
    """Return the reader called `name`, or the first that matches `source`, and the folder to read.

    The folder is the source itself, or a nested folder that the source only wraps (see `folders.nested`).

    Raises:
        UsageError: there is no reader of that name.
        DataError: the source does not exist, is empty, or matches no reader.
    """
    if options.columns:  # only tables have configurable columns
        if name not in (None, Table.name):
            raise UsageError(f"columns: only the format {Table.name} has configurable columns, not {name}")
        name = Table.name
    named = REGISTRY.find(name, from_call=True) if name is not None else None
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    readers = [named] if named is not None else READERS
    try:
        if source.is_dir() and not any(source.iterdir()):
            raise DataError(f"{source}: empty folder")
        # Nested labelled folders take precedence over images beside them.
        labelled = [reader for reader in readers if reader.name not in LAST]
        for root in nested(source, options):
            for reader in labelled:
                if reader.matches(root, options):
                    return reader, root
        # Images count as unlabelled only if nothing else matches, not even a table that cannot be read.
        table = Table().why_not(source, options) if name is None else ""
        for reader in readers:
            if reader.name in LAST and not table and reader.matches(source, options):
                return reader, source
    except OSError as error:
        raise DataError(f"{error.filename or source}: {error.strerror or error}") from error
    if named is not None:
        return named, source
    if table:
        raise DataError(f"{source}: unknown folder layout, and {table}")
    if source.is_dir() and _has_only_videos(source):
        raise DataError(f"{source}: contains only videos; extract faces from them with fer detect")
    if codes := _folders_of_codes(source):
        more = ", …" if len(codes) > 3 else ""
        given = ",".join(f"{code}=EMOTION" for code in codes[:3]) + more.replace(" ", "")
        raise DataError(
            f"{source}: folders are named by codes ({', '.join(codes[:3])}{more}) of an unknown dataset; map them to "
            f"emotions with --map {given}"
        )
    raise DataError(
        f"{source}: unknown layout; expected emotion folders (happy/, sad/, …; map other names with --map), in train/ "
        "and test/ or without splits, a table of paths and labels (labels.csv) beside its images, images without "
        "labels (--format unlabelled), or a published dataset from fer import --list"
    )


def _folders_of_codes(source: Path) -> list[str]:
    """Return the sorted names of a source's folders (or of its splits' folders) if all of them are codes."""
    with suppress(OSError):
        *_, root = nested(source)
        folders = [path for path in root.iterdir() if path.is_dir()]
        if splits := [path for path in folders if path.name.lower() in SPLIT_NAMES]:
            folders = [path for split in splits for path in split.iterdir() if path.is_dir()]
        names = [path.name for path in folders if not path.name.startswith(".")]
        if len(set(names)) > 1 and all(map(code_of, names)):
            return sorted(set(names), key=lambda name: int(code_of(name) or ""))
    return []


def _has_only_videos(source: Path) -> bool:
    from fercli.artifacts.digests import walk_files
    from fercli.images import is_image_file
    from fercli.videos import is_video

    files = list(walk_files(source))
    return any(map(is_video, files)) and not any(map(is_image_file, files))


def files_of(reader: Reader, source: Path, options: ImportOptions = ANY) -> Iterator[Path] | None:
    """Return the files that a reader reads besides `source`, or None if it reads nothing else."""
    return reader.files(source, options) if isinstance(reader, Table) and source.is_file() else None


def find_others(source: Path, taken: Reader, options: ImportOptions = ANY) -> list[str]:
    """Return the names of other published datasets whose layout the source matches as well."""
    with suppress(OSError, DataError):
        readers = (reader for reader in READERS if reader is not taken and reader.name not in GENERAL)
        return [reader.name for reader in readers if reader.matches(source, options)]
    return []
