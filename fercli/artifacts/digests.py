"""SHA-256 digests of files and folders, cached by path, size and modification time."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from fercli.errors import DataError
from fercli.files import check_file, open_file

_COMMIT_EVERY = 1000


def cache_folder() -> Path:
    """Return the cache folder: $FERCLI_CACHE, or `fercli` in the user's cache folder."""
    if folder := os.environ.get("FERCLI_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fercli"


def digest_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's contents."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_source(path: Path, files: Iterable[Path] | None = None) -> str:
    """Return the digest of a raw input: a file's SHA-256, or that of all relative paths and contents in a folder.

    If a file lists other files, pass them as `files` to include them.

    File digests are cached by path, size and modification time, so that a large folder is read only once. Without a
    writable cache everything is read again.

    Raises:
        DataError: the input does not exist or cannot be read.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    with closing(_Cache()) as cache:
        try:
            if files is None and not path.is_dir():
                check_file(path)
                return cache.digest(path)
            total, folder = hashlib.sha256(), path if path.is_dir() else path.parent
            for file in walk_files(path) if files is None else (path, *files):
                relative = os.fsencode(file.relative_to(folder))
                digest = cache.digest(file) if file.is_file() else "not a file"
                total.update(relative + b"\0" + digest.encode() + b"\n")
            return total.hexdigest()
        except OSError as error:
            raise DataError(f"{error.filename or path}: {error.strerror or error}") from error


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the files under `folder` in a fixed order, without hidden ones.

    Pipes, devices and sockets are yielded too, so that they can be reported; `fercli.files` refuses to open them.
    Links to folders are followed, except those that lead back to a parent.
    """
    yield from _walk(folder, {_identity(folder)})


def _walk(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    # Only the names are kept, as bytes: a folder may have a million files.
    names, folders = [], set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            # A link to itself is neither file nor folder. Unreadable entries are yielded, so that they are reported.
            at: os.DirEntry[str] | Path = Path(entry.path) if entry.is_symlink() else entry
            name = os.fsencode(entry.name)
            if at.is_dir():
                folders.add(name)
            elif not (at.is_file() or _special(at)):
                continue
            names.append(name)
    names.sort()
    for name in names:
        path = folder / os.fsdecode(name)
        if name not in folders:
            yield path
        elif (identity := _identity(path)) not in above:
            yield from _walk(path, above | {identity})


def _special(entry: os.DirEntry[str] | Path) -> bool:
    """Return whether an entry is a special file that exists; a broken link does not."""
    with suppress(OSError):
        return bool(entry.stat())
    return False


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


class _Cache:
    """File digests in an SQLite database; caches nothing if that cannot be opened."""

    def __init__(self) -> None:
        self._base: sqlite3.Connection | None = None
        self._new = 0
        with suppress(OSError, sqlite3.Error):
            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(folder / "digests.sqlite", timeout=5)
            base.execute("CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, stamp TEXT, digest TEXT)")
            self._base = base

    def digest(self, path: Path) -> str:
        stat = path.stat()
        stamp = f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
        key = os.path.abspath(path).encode("utf-8", "backslashreplace").decode()
        if self._base is not None:
            with suppress(sqlite3.Error):
                row = self._base.execute("SELECT digest FROM digests WHERE path=? AND stamp=?", (key, stamp)).fetchone()
                if row:
                    return str(row[0])
        digest = digest_file(path)
        if self._base is not None:
            with suppress(sqlite3.Error):
                self._base.execute("INSERT OR REPLACE INTO digests VALUES (?,?,?)", (key, stamp, digest))
                self._new += 1
                if self._new % _COMMIT_EVERY == 0:  # so that the next call after an interruption reads less
                    self._base.commit()
        return digest

    def close(self) -> None:
        if self._base is not None:
            with suppress(sqlite3.Error):
                self._base.commit()
                self._base.close()
