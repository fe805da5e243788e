"""Opening files by name, and writing their names as text.

**What is opened.** A name that a person, a table or a folder gives may belong to anything: a pipe that nobody writes
into, a device that never ends, a socket. Opening one waits for ever, and reading one fills the memory. Everything in
fercli that opens a file by such a name opens it here: without waiting, and looking at what was opened before a byte is
read, so that the name cannot change in between. Libraries that take a name instead of an open file get it after
`check_file`. What is refused is an `OSError` like any other, so that callers report it as they report a missing file.

**What is written.** On most systems a file name is bytes, and they need not be UTF-8. Inside, names are `str` as Python
has them (broken bytes as lone surrogates), by which the file is found again. In all that is written (manifests, tables,
pages, JSON, HDF5) `as_text` makes valid UTF-8 of them: a byte that is not UTF-8 becomes `\\xNN`, so that two names stay
two, and `find_named` finds the file again. (What a data set's images are called is made by
`fercli.datasets.names`, for every disk.)
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

# O_NONBLOCK: a pipe without a writer is opened at once. It changes nothing for a regular file.
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_file(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file for reading, or a link to one.

    Raises:
        FileNotFoundError: nothing is there.
        IsADirectoryError: it is a folder.
        OSError: it cannot be opened, or is a pipe, a device or a socket.
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
    """Open a regular file of text for reading; raises as `open_file`."""
    return io.TextIOWrapper(open_file(path), encoding=encoding, errors=errors, newline=newline)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a regular file whole; raises as `open_file`."""
    with open_file(path) as file:
        return file.read()


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise as `open_file` where a path is no regular file, for libraries that open a name themselves."""
    _check_regular(os.stat(path).st_mode, path)


def preallocate(file: int | str | os.PathLike[str], size: int) -> None:
    """Take the room on the disk that a file will need, where the system can.

    For libraries that do not survive a disk that fills while they write, as HDF5, which then ends the process.

    Args:
        file: The file's descriptor, or its name.
        size: Bytes.

    Raises:
        OSError: there is not so much room, or the process may not write so large a file.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    handle = file if isinstance(file, int) else os.open(file, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.posix_fallocate(handle, 0, max(1, size))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        # else a disk that cannot promise room
    finally:
        if not isinstance(file, int):
            os.close(handle)


def set_default_mode(path: str | os.PathLike[str]) -> None:
    """Give a file that was made for its owner alone, as temporary files are, the mode that any new file has."""
    mask = os.umask(0)  # it can only be read by setting it
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)


@contextmanager
def utf8_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Open a regular file and give a name of it that is UTF-8, for libraries that take no other."""
    name = os.fspath(path)
    if as_text(name) == name:
        check_file(path)
        yield name
        return
    with open_file(path) as file:
        yield f"/dev/fd/{file.fileno()}"


def file_type(mode: int) -> str:
    """Return what a file's mode says it is, as in `a pipe`: what is neither a file nor a folder."""
    return _KINDS.get(stat.S_IFMT(mode), "neither a file nor a folder")


def missing_message(path: Path, what: str) -> str:
    """Return what is wrong with a place that holds no file where one is wanted: nothing there, or something else.

    Args:
        path: The place.
        what: What is wanted, as in `file of weights`.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return f"{path}: no such {what}"
    return f"{path}: {'a folder' if stat.S_ISDIR(mode) else file_type(mode)}, not a {what}"


def as_text(name: str) -> str:
    r"""Return a file name (or any text with one in it) as valid Unicode: each byte that is not UTF-8 becomes `\xNN`.

    >>> as_text(os.fsdecode(b"caf\xe9.jpg"))
    'caf\\xe9.jpg'
    """
    if name.isascii():
        return name
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def as_text_deep(value: Any) -> Any:
    """Return a value for JSON with `as_text` of all text in it, keys too."""
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, dict):
        return {as_text_deep(key): as_text_deep(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_text_deep(item) for item in value]
    return value


def find_named(path: Path) -> Path:
    """Return the path that was written down by `as_text`: itself, or that of the bytes where it alone is there."""
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
