"""What fercli knows as its own: the hidden names beside an artifact's place, their marks, and the lock.

Beside `out` stand, while it is made, `.out.partial` (what is being made), `.out.old` (what is being replaced) and
`.out.lock`. A user may have called something of his own so. Therefore nothing is replaced or removed by its name:
only a folder (no link to one) that carries a mark of ours, a manifest or `pending.json` with a key as fercli writes
them, and only an empty file as a lock. All else is left, and `blocked_error` says so.

A folder that is removed keeps a mark to the end, so that what a kill leaves of it is still known.
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
from fercli.errors import DataError, FerError, UsageError
from fercli.files import read_bytes

PENDING = "pending.json"
"""The mark of a folder that is not whole yet."""
_DISCARDED = "discarded.json"
"""The mark of a folder that is being removed."""
_UNMARKED = frozenset({f".{PENDING}.new"})
"""All that a kill can leave in a folder before its mark."""
_KEY = re.compile(r"[0-9a-f]{64}")


def partial_path(out: Path) -> Path:
    """Return where an artifact stands while it is built, and stays where that is interrupted."""
    return out.parent / f".{out.name}.partial"


def old_path(out: Path) -> Path:
    """Return where the artifact that is being replaced waits for its removal."""
    return out.parent / f".{out.name}.old"


def claim(folder: Path, key: str, started: str = "") -> None:
    """Make a folder, marked as ours and not whole yet.

    Args:
        folder: Its place, where nothing stands.
        key: 64 hex digits that tell one call from another, as `digest_json` returns them.
        started: When, for people.
    """
    folder.mkdir(parents=True)
    write_text(folder / PENDING, json.dumps({"key": key, "started": started}))


def pending(folder: Path) -> dict[str, str]:
    """Return what the mark of a folder that is not whole yet says; empty where it has none of ours."""
    return _mark(folder / PENDING)


def is_ours(folder: Path) -> bool:
    """Tell whether a folder is known as ours: by a mark, or because nothing is in it. A link never is."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if _mark(folder / PENDING) or _mark(folder / _DISCARDED) or is_published(folder):
        return True
    with suppress(OSError):
        return set(os.listdir(folder)) <= _UNMARKED
    return False


def is_published(folder: Path) -> bool:
    """Tell whether a folder is an artifact that a stage brought to its place: its manifest has a key."""
    with suppress(FerError):
        return _KEY.fullmatch(open_artifact(folder).manifest.key) is not None
    return False


def discard(folder: Path) -> None:
    """Remove a folder if it is ours; what is not, or cannot be removed, stays."""
    if not is_ours(folder):
        return
    with suppress(OSError):
        for mark in (PENDING, MANIFEST):  # from here on it is neither whole nor to be gone on with
            if (folder / mark).is_file():
                os.replace(folder / mark, folder / _DISCARDED)
        for name in os.listdir(folder):
            if name != _DISCARDED:
                _remove(folder / name)
        with suppress(FileNotFoundError):
            os.unlink(folder / _DISCARDED)
        os.rmdir(folder)


def blocked_error(path: Path) -> DataError:
    """Return the error for something at a place that fercli needs and did not make."""
    what = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "a file"
    return DataError(f"{path}: {what} that fercli did not make stands in the way; move it, or choose another place")


def check_disjoint(out: Path, *sources: Path) -> None:
    """Refuse an output that is, lies within, or holds an input, or the artifact that an input is a part of.

    The hidden places beside the output count as the output: replacing them would take the input away as well.

    Raises:
        UsageError: it does.
    """
    here = Path(os.path.realpath(out))
    named = Path(os.path.realpath(out.parent)) / out.name
    taken = (here, Path(os.path.abspath(out)), partial_path(named), old_path(named))
    for source in sources:
        there = Path(os.path.realpath(source))
        # By its own name too, whatever that is a link to: the link would go.
        above = {*there.parents, *Path(os.path.abspath(source)).parents}
        if here != there and (above.intersection(taken) or there in taken[2:]):
            raise UsageError(f"{out}: the input {source} lies in the output; choose another place")
        whole = _outermost_artifact(there)
        if here == there or _same_file(here, there) or (whole.is_dir() and whole in (here, *here.parents)):
            raise UsageError(f"{out}: the output lies in the input {source}; choose a place outside it")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the lock file beside `out`; the system frees it when the process ends, however it ends.

    Raises:
        DataError: another call holds it, or what stands at its place is no lock.
        FerError: its folder cannot be written.
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
            raise DataError(f"{out}: another call is writing here; wait for it, or choose another place") from error
        # The holder before us may have removed the file between our open and our lock: then we hold a name no more.
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
    """Open the lock's file, made if need be; only an empty file is one."""
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
    """Return what a mark says; empty where there is none, or none of ours."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_bytes(file))
        if isinstance(found, dict) and isinstance(found.get("key"), str) and _KEY.fullmatch(found["key"]):
            return {"key": found["key"], "started": str(found.get("started") or "")}
    return {}


def _outermost_artifact(path: Path) -> Path:
    """Return the outermost artifact that a path is a part of, or the path."""
    return next((parent for parent in reversed(path.parents) if is_published(parent)), path)


def _same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths are one thing, as on disks that do not tell `a` from `A`."""
    with suppress(OSError):
        return os.path.samefile(one, other)
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)
