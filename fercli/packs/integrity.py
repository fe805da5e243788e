"""Checking that a pack's file is unmodified, and that it can be opened within limits.

A changed byte in HDF5's own structures can make the library loop forever or allocate any amount of memory, which Python
cannot stop. So the file's digest is compared with the manifest's before HDF5 opens it, which detects any change since
packing, be it of pixels, labels or structures. A file that agrees with its manifest may still be crafted by someone
else: the first time, a subprocess with limits on time and memory opens it, and its digest is remembered if that
succeeds.
"""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fercli.artifacts.digests import cache_folder, digest_file, digest_source
from fercli.environment import child_environment
from fercli.errors import DataError
from fercli.packs.shards import Shard
from fercli.parallel import in_threads

ALWAYS_HASHED = 1 << 30
"""Up to this size in bytes, the digest is computed on every opening, in under a second (measured: 1.1 GB/s). For larger
files, or shards that are larger together, it is cached by path, size and modification time, as for raw data."""
SECONDS = 10
"""Time limit for opening a file, plus one second per 20 MB."""
MEMORY = 1 << 29
"""Memory limit in bytes for opening a file, plus eight times its size, up to `MAX_MEMORY`."""
MAX_MEMORY = 1 << 32
OPENS, REFUSED = 0, 3
CHILD = "import sys; from fercli.packs.limited import open_limited; open_limited(sys.argv[1], *map(int, sys.argv[2:]))"
"""The code of the subprocess that opens a file first, under limits on time and memory."""


def check_file(file: Path, digest: str | None) -> None:
    """Check that a pack's file is unmodified, and that it can be opened within limits.

    Args:
        file: The pack's HDF5 file.
        digest: SHA-256 from its manifest; None skips that check.

    Raises:
        DataError: it was modified, or cannot be opened.
    """
    if not file.is_file():
        raise DataError(f"{file}: the pack's file is missing; re-pack the dataset")
    try:
        size = file.stat().st_size
        found = digest_file(file) if size <= ALWAYS_HASHED else digest_source(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error
    if digest is not None and found != digest:
        raise DataError(
            f"{file}: was modified or damaged after packing (its SHA-256 differs from the manifest's); "
            "re-pack the dataset"
        )
    if not _is_remembered(found) and _can_open(file, size):
        remember(found)


def check_shards(shards: Sequence[Shard], *, allow_modified: bool = False) -> None:
    """Check that the shards of a pack are there, in full, and unmodified; several are read at a time.

    Args:
        shards: As the pack's index lists them.
        allow_modified: Do not read them.

    Raises:
        DataError: one is missing, a link, of another size, or was modified or exchanged.
    """
    cached = sum(shard.bytes for shard in shards) > ALWAYS_HASHED
    for shard, found in zip(
        shards, in_threads(lambda one: _state(one, cached, allow_modified), shards, None), strict=True
    ):
        if found:
            raise DataError(f"{shard.file}: {found}; re-pack the dataset")


def _state(shard: Shard, cached: bool, allow_modified: bool) -> str | None:
    """Return what is wrong with a shard."""
    try:
        found = shard.file.lstat()
        if not stat.S_ISREG(found.st_mode):
            return "is not a file of the pack's own but a link or something else"
        if found.st_size != shard.bytes:
            return f"has {found.st_size:,} bytes instead of {shard.bytes:,}"
        if allow_modified:
            return None
        digest = digest_source(shard.file) if cached else digest_file(shard.file)
    except FileNotFoundError:
        return "this shard of the pack is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if digest != shard.digest:
        return "was modified or exchanged after packing (its SHA-256 differs from the pack's index)"
    return None


def remember(digest: str) -> None:
    """Remember that a file with this digest can be opened: fercli wrote it, or opened it within limits."""
    with suppress(OSError, RuntimeError):  # without a cache, the subprocess runs on every opening
        marker = _marker(digest)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def _is_remembered(digest: str) -> bool:
    with suppress(OSError, RuntimeError):
        return _marker(digest).exists()
    return False


def _marker(digest: str) -> Path:
    return cache_folder() / "packs" / digest


def _can_open(file: Path, size: int) -> bool:
    """Open a file in a subprocess; return whether it is a valid pack, or False if it raises an ordinary error.

    Raises:
        DataError: opening it exceeds the limits or crashes the subprocess.
    """
    seconds = SECONDS + size // 20_000_000
    memory = min(MEMORY + 8 * size, MAX_MEMORY)
    command = [sys.executable, "-c", CHILD, str(file.absolute()), str(seconds), str(memory)]
    # The subprocess imports from the same paths as this process.
    environment = child_environment() | {"OMP_NUM_THREADS": "1"}
    try:
        status = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=3 * seconds,  # wall-clock time, which includes other processes' work
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        status = None
    except OSError as error:
        raise DataError(f"{file}: the subprocess that opens it cannot be started ({error.strerror})") from error
    if status not in (OPENS, REFUSED):
        raise DataError(
            f"{file}: opening it takes more than {seconds} s or {memory >> 20} MB, or crashes HDF5: "
            "damaged or malicious; re-pack the dataset"
        )
    return status == OPENS
