"""Whether a pack's file is the one that was packed, and whether it can be opened within limits.

A changed byte in HDF5's own structures can make the library loop without end or ask for any memory, beyond what Python
can stop. So the file's digest is compared with the manifest's before HDF5 sees the file: whatever was changed since
packing, be it pixels, labels or structures, ends there. A file whose manifest agrees with it may still be a stranger's
making. The first time it is opened, a process with limits of time and memory opens it beforehand, and its digest is
remembered when that went well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from fercli.artifacts.digests import cache_folder, digest_file, digest_source
from fercli.errors import DataError

ALWAYS_READ = 1 << 30
"""Bytes up to which the digest is computed at every opening, in under a second (1.1 GB/s were measured). That of a
larger file is remembered by path, size and time of change, as those of raw data are."""
SECONDS = 10
"""Limit of the time in which a file can be opened, plus one second for each 20 MB."""
MEMORY = 1 << 29
"""Limit of the memory that opening a file takes, plus eight times its size, `MOST_MEMORY` at most."""
MOST_MEMORY = 1 << 32
OPENS, REFUSED = 0, 3
CHILD = "import sys; from fercli.packs.limited import open_limited; open_limited(sys.argv[1], *map(int, sys.argv[2:]))"
"""The code of the process that opens a file first, with limits on its time and memory."""


def check_file(file: Path, digest: str | None) -> None:
    """Check that a pack's file is the one that was packed, and can be opened within limits.

    Args:
        file: The pack's HDF5 file.
        digest: What its manifest says, the file's SHA-256; None: whether it was changed is not asked.

    Raises:
        DataError: it is not, or cannot.
    """
    if not file.is_file():
        raise DataError(f"{file}: the pack's file is missing; re-pack the dataset")
    try:
        size = file.stat().st_size
        found = digest_file(file) if size <= ALWAYS_READ else digest_source(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error
    if digest is not None and found != digest:
        raise DataError(
            f"{file}: was changed or damaged after it was packed (its SHA-256 is not the manifest's); "
            "re-pack the dataset"
        )
    if not _is_remembered(found) and _opens_limited(file, size):
        remember(found)


def remember(digest: str) -> None:
    """Remember that a file of this digest can be opened: fercli wrote it, or opened it within limits."""
    with suppress(OSError, RuntimeError):  # without a cache every opening is tried beforehand
        place = _remembered(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def _is_remembered(digest: str) -> bool:
    with suppress(OSError, RuntimeError):
        return _remembered(digest).exists()
    return False


def _remembered(digest: str) -> Path:
    return cache_folder() / "packs" / digest


def _opens_limited(file: Path, size: int) -> bool:
    """Open a file in a process of its own; tell whether it is a pack, or will be refused in an ordinary way.

    Raises:
        DataError: opening it takes more time or memory than it may, or ends the process.
    """
    seconds = SECONDS + size // 20_000_000
    memory = min(MEMORY + 8 * size, MOST_MEMORY)
    command = [sys.executable, "-c", CHILD, str(file.absolute()), str(seconds), str(memory)]
    # It imports from where this process does, wherever that is.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "OMP_NUM_THREADS": "1"}
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=3 * seconds,  # of the clock, which other work may share
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        ended = None
    except OSError as error:
        raise DataError(f"{file}: the process that opens it cannot be started ({error.strerror})") from error
    if ended not in (OPENS, REFUSED):
        raise DataError(
            f"{file}: opening it takes more than {seconds} s or {memory >> 20} MB, or crashes HDF5: "
            "damaged or made to do harm; re-pack the dataset"
        )
    return ended == OPENS
