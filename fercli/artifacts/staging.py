"""Hidden paths next to an artifact that is being written: their markers, and the lock.

While `out` is written, `.out.partial` (the new artifact), `.out.old` (the one being replaced) and `.out.lock` exist
next to it. Users may have files of these names, so nothing is replaced or removed by name alone: only a folder (not a
link) with one of our markers, a manifest or `pending.json` with a valid key, and only an empty file as a lock. Anything
else is left alone and reported by `blocked_error`.

A folder that is being removed keeps a marker until the end, so that it is recognised if the process is killed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fercli.artifacts import MANIFEST, open_artifact, write_text
from fercli.errors import BusyError, DataError, FerError, UsageError
from fercli.files import read_bytes

PENDING = "pending.json"
"""The marker of an incomplete folder."""
_DISCARDED = "discarded.json"
"""The marker of a folder that is being removed."""
_UNMARKED = frozenset({f".{PENDING}.new"})
"""Files that a killed process may leave in a folder before the marker is written."""
_KEY = re.compile(r"[0-9a-f]{64}")


def partial_path(out: Path) -> Path:
    """Return the path at which an artifact is built, and where it stays if that is interrupted."""
    return out.parent / f".{out.name}.partial"


def old_path(out: Path) -> Path:
    """Return the path to which an artifact is moved while it is replaced."""
    return out.parent / f".{out.name}.old"


def claim(folder: Path, key: str, started: str = "") -> None:
    """Create a folder that is marked as ours and incomplete.

    Args:
        folder: Its path, which must not exist.
        key: 64 hex digits that identify the call, as returned by `digest_json`.
        started: Start time, for information.
    """
    folder.mkdir(parents=True)
    write_text(folder / PENDING, json.dumps({"key": key, "started": started}))


def pending(folder: Path) -> dict[str, str]:
    """Return the contents of an incomplete folder's marker; empty if it has no valid one."""
    return _mark(folder / PENDING)


def is_ours(folder: Path) -> bool:
    """Return whether a folder is ours: it has a marker or is empty. A link never is."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if _mark(folder / PENDING) or _mark(folder / _DISCARDED) or is_published(folder):
        return True
    with suppress(OSError):
        return set(os.listdir(folder)) <= _UNMARKED
    return False


def is_published(folder: Path) -> bool:
    """Return whether a folder is an artifact that a stage completed: its manifest has a key."""
    with suppress(FerError):
        return _KEY.fullmatch(open_artifact(folder).manifest.key) is not None
    return False


def discard(folder: Path) -> None:
    """Remove a folder if it is ours and can be removed."""
    if not is_ours(folder):
        return
    with suppress(OSError):
        for mark in (PENDING, MANIFEST):  # from here on it is neither complete nor resumable
            if (folder / mark).is_file():
                os.replace(folder / mark, folder / _DISCARDED)
        for name in os.listdir(folder):
            if name != _DISCARDED:
                _remove(folder / name)
        with suppress(FileNotFoundError):
            os.unlink(folder / _DISCARDED)
        os.rmdir(folder)


def clear(folder: Path, *kept: str) -> None:
    """Remove everything in an incomplete folder but its marker and the names to keep."""
    for name in os.listdir(folder):
        if name not in (PENDING, *kept):
            _remove(folder / name)


def blocked_error(path: Path) -> DataError:
    """Return the error for a foreign file or folder at a path that fercli needs."""
    what = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "a file"
    return DataError(f"{path}: {what} not created by fercli already exists; move it, or choose another path")


def check_disjoint(out: Path, *sources: Path) -> None:
    """Reject an output that is, contains, or lies within an input, or the artifact that an input belongs to.

    The hidden paths next to the output count as the output, since replacing them would remove the input as well.

    Raises:
        UsageError: the output overlaps an input.
    """
    here = Path(os.path.realpath(out))
    named = Path(os.path.realpath(out.parent)) / out.name
    taken = (here, Path(os.path.abspath(out)), partial_path(named), old_path(named))
    for source in sources:
        there = Path(os.path.realpath(source))
        # Also by its unresolved name: if that is a link, the link would be removed.
        above = {*there.parents, *Path(os.path.abspath(source)).parents}
        if here != there and (above.intersection(taken) or there in taken[2:]):
            raise UsageError(f"{out}: the output contains the input {source}; choose another path")
        whole = _outermost_artifact(there)
        if here == there or _same_file(here, there) or (whole.is_dir() and whole in (here, *here.parents)):
            raise UsageError(f"{out}: the output is inside the input {source}; choose a path outside it")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the lock file next to `out`; the system releases it when the process ends, however it ends.

    Raises:
        BusyError: another call holds the lock.
        DataError: the path exists and is not a lock.
        FerError: the folder is not writable.
    """
    lock = out.parent / f".{out.name}.lock"
    while True:
        handle = _open_lock(out, lock)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise BusyError(f"{out}: is being written by another call; wait for it, or choose another path") from error
        # The previous holder may have removed the file between our open and our lock: then the lock is void.
        with suppress(FileNotFoundError):
            if os.lstat(lock).st_ino == os.fstat(handle).st_ino:
                break
        os.close(handle)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock)
        os.close(handle)


def _open_lock(out: Path, lock: Path) -> int:
    """Open the lock file, creating it if necessary; only an empty file is accepted."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except FileNotFoundError as error:  # as under /proc
        raise FerError(f"{out}: cannot be written ({error.strerror}: {error.filename})") from error
    except OSError as error:
        if os.path.lexists(lock) and error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
            raise blocked_error(lock) from error
        raise
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_size:
        os.close(handle)
        raise blocked_error(lock)
    return handle


def _mark(file: Path) -> dict[str, str]:
    """Return the contents of a marker; empty if it does not exist or is not valid."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_bytes(file))
        if isinstance(found, dict) and isinstance(found.get("key"), str) and _KEY.fullmatch(found["key"]):
            return {"key": found["key"], "started": str(found.get("started") or "")}
    return {}


def _outermost_artifact(path: Path) -> Path:
    """Return the outermost artifact that contains a path, or the path itself."""
    return next((parent for parent in reversed(path.parents) if is_published(parent)), path)


def _same_file(one: Path, other: Path) -> bool:
    """Return whether two paths are the same file, as on case-insensitive file systems."""
    with suppress(OSError):
        return os.path.samefile(one, other)
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)
