"""Where predict writes: nothing of the user's is replaced, and what comes is whole or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fercli.artifacts.staging import check_disjoint
from fercli.errors import DataError, FerError, UsageError
from fercli.files import file_type


def check_place(option: str, path: Path, sources: list[Path]) -> None:
    """Refuse a place for a file or folder that is an input, or lies in one, or is a device or a pipe.

    Raises:
        UsageError: it does.
        FerError: the system does not take the name.
    """
    with told(option, path):
        check_disjoint(path, *sources)
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return
    if not (path.is_file() or path.is_dir()):
        raise UsageError(f"{option} {path}: {file_type(mode)}, not a file; choose another place")


def check_separate(csv: Path, draw: Path) -> None:
    """Refuse a table and pictures that go to one place, or one into the other.

    Raises:
        UsageError: they do.
    """
    one, other = (Path(os.path.realpath(path)) for path in (csv, draw))
    if one == other or one in other.parents or other in one.parents:
        raise UsageError(f"--csv {csv} and --draw {draw}: one place for both; choose another for one of them")


def check_replaceable(option: str, path: Path, overwrite: bool, ours: bool, what: str) -> None:
    """Refuse to replace a file without `--overwrite`, and one that fercli does not know as its own in any case.

    Raises:
        UsageError: it may not be replaced without `--overwrite`.
        DataError: it is not ours.
    """
    if path.is_dir():
        raise UsageError(f"{option} {path}: a folder; name a file")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise UsageError(f"{option} {path}: something stands here; replace it with --overwrite")
    if not ours:
        raise DataError(f"{option} {path}: what stands here is no {what} of fer predict; choose another place")


@contextmanager
def told(option: str, path: Path) -> Iterator[None]:
    """Tell in one line what the system refuses of a place.

    Raises:
        FerError: it does.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else getattr(error, "strerror", None) or error
        raise FerError(f"{option} {path}: cannot be written ({reason})") from error
