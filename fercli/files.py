"""Safe opening of files, and conversion of file names to text.

**Opening.** A path given by a user, a table or a folder may be anything: a pipe that nobody writes to, an endless
device, a socket. Opening one can block forever, and reading one can exhaust memory. fercli therefore opens such paths
only here: without blocking, and checking the type of the open file before reading a byte, so that there is no race.
Libraries that need a path instead of an open file get it after `check_file`. Rejected files raise an ordinary
`OSError`, so that callers report them like a missing file.

**File names.** On most systems a file name is bytes that need not be UTF-8. In memory, names are Python `str` with
surrogate escapes, which still open the file. In everything written (manifests, tables, pages, JSON, HDF5) `as_text`
turns them into valid UTF-8: a byte that is not UTF-8 becomes `\\xNN`, so that names stay distinct and `find_named`
finds the file again. (The names of a dataset's images come from `fercli.datasets.names` and are portable.)
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

# O_NONBLOCK: opening a pipe without a writer does not block. It has no effect on regular files.
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_file(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file, or a link to one, for reading.

    Raises:
        FileNotFoundError: the file does not exist.
        IsADirectoryError: the path is a folder.
        OSError: the file cannot be opened, or is a pipe, a device or a socket.
    """
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a pipe opened for writing
            raise OSError(errno.EINVAL, "a socket, not a file", os.fspath(path)) from error
        raise
    try:
        _check_regular(os.fstat(handle).st_mode, path)
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def open_text(
    path: str | os.PathLike[str], encoding: str = "utf-8", errors: str = "strict", newline: str | None = None
) -> TextIO:
    """Open a regular text file for reading; raises like `open_file`."""
    return io.TextIOWrapper(open_file(path), encoding=encoding, errors=errors, newline=newline)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the contents of a regular file; raises like `open_file`."""
    with open_file(path) as file:
        return file.read()


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise like `open_file` if a path is not a regular file, for libraries that open a path themselves."""
    _check_regular(os.stat(path).st_mode, path)


def preallocate(file: int | str | os.PathLike[str], size: int) -> None:
    """Allocate the disk space that a file will need, if the system supports it.

    For libraries such as HDF5, which aborts the process when the disk fills up while it writes.

    Args:
        file: The file's descriptor or path.
        size: Bytes.

    Raises:
        OSError: there is not enough space, or the process may not write such a large file.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    handle = file if isinstance(file, int) else os.open(file, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.posix_fallocate(handle, 0, max(1, size))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        # Otherwise the file system does not support preallocation.
    finally:
        if not isinstance(file, int):
            os.close(handle)


def set_default_mode(path: str | os.PathLike[str]) -> None:
    """Give a file created with restricted permissions, such as a temporary file, the mode of an ordinary new file."""
    mask = os.umask(0)  # the mask can only be read by setting it
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)


@contextmanager
def utf8_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Open a regular file and yield a UTF-8 path to it, for libraries that accept no other."""
    name = os.fspath(path)
    if as_text(name) == name:
        check_file(path)
        yield name
        return
    with open_file(path) as file:
        yield f"/dev/fd/{file.fileno()}"


def file_type(mode: int) -> str:
    """Return what a special file is according to its mode, such as `a pipe`."""
    return _KINDS.get(stat.S_IFMT(mode), "neither a file nor a folder")


def missing_message(path: Path, what: str) -> str:
    """Return the error message for a path that is not the expected file.

    Args:
        path: The path.
        what: What is expected, such as `weights file`.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return f"{path}: no such {what}"
    return f"{path}: {'a folder' if stat.S_ISDIR(mode) else file_type(mode)}, not a {what}"


def as_text(name: str) -> str:
    r"""Return a file name, or text containing one, as valid Unicode: each byte that is not UTF-8 becomes `\xNN`.

    >>> as_text(os.fsdecode(b"caf\xe9.jpg"))
    'caf\\xe9.jpg'
    """
    if name.isascii():
        return name
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that encodes no byte
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def as_text_deep(value: Any) -> Any:
    """Apply `as_text` to all strings in a JSON value, including keys."""
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, dict):
        return {as_text_deep(key): as_text_deep(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_text_deep(item) for item in value]
    return value


def find_named(path: Path) -> Path:
    """Return the path that `as_text` wrote: as given, or with the original bytes if only that path exists."""
    if "\\x" in str(path) and not os.path.lexists(path):
        raw = re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(path))
        if os.path.lexists(raw):
            return Path(os.fsdecode(raw))
    return path


def _check_regular(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{file_type(mode)}, not a file", os.fspath(path))
