"""Checks of output paths: files of the user are never replaced, and outputs are complete or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

from fercli.artifacts.staging import check_disjoint
from fercli.errors import DataError, FerError, UsageError
from fercli.files import file_type


def check_output(option: str, path: Path, sources: list[Path]) -> None:
    """Refuse an output path that is or lies within an input, or is a device or pipe.

    Raises:
        UsageError: it is one of these.
        FerError: the operating system rejects the name.
    """
    with disk_errors(option, path):
        check_disjoint(path, *sources)
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return
    if not (path.is_file() or path.is_dir()):
        raise UsageError(f"{option} {path}: {file_type(mode)}, not a file; choose another path")


def check_separate_outputs(outputs: list[tuple[str, Path]]) -> None:
    """Refuse outputs, pairs of an option and a path, of which two are equal, or one is within the other.

    Raises:
        UsageError: they are.
    """
    for (option, path), (other_option, other_path) in combinations(outputs, 2):
        one, other = (Path(os.path.realpath(given)) for given in (path, other_path))
        if one == other or one in other.parents or other in one.parents:
            raise UsageError(
                f"{option} {path} and {other_option} {other_path}: the outputs overlap; choose separate paths"
            )


def check_replaceable(option: str, path: Path, overwrite: bool, ours: bool) -> None:
    """Refuse to replace a file without `--overwrite`, or one that was not written by `fer predict`.

    Raises:
        UsageError: it is a folder, or exists and `--overwrite` is not given.
        DataError: it was not written by `fer predict`.
    """
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; give a file name")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise UsageError(f"{option} {path}: already exists; replace it with --overwrite")
    if not ours:
        raise DataError(f"{option} {path}: already exists and was not written by fer predict; choose another path")


@contextmanager
def disk_errors(option: str, path: Path) -> Iterator[None]:
    """Turn errors of the operating system about an output path into one-line messages.

    Raises:
        FerError: writing failed.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else getattr(error, "strerror", None) or error
        raise FerError(f"{option} {path}: cannot be written ({reason})") from error
