"""Opening a pack under limits, in a process of its own."""

from __future__ import annotations

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

from fercli.errors import DataError
from fercli.packs.file import read_info, read_paths
from fercli.packs.integrity import OPENS, REFUSED


def open_limited(file: str, seconds: str, memory: str) -> None:
    """Read a pack's description and paths under limits, and end the process: what `_opens_limited` runs."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = ceil(used.ru_utime + used.ru_stime) + int(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (end, end))
    with suppress(OSError, ValueError):  # only Linux tells what is taken already, and keeps to the limit
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + int(memory), taken + int(memory)))
    try:
        info = read_info(Path(file))
        for split in info.counts:
            read_paths(info, split)
    except DataError:
        os._exit(REFUSED)
    os._exit(OPENS)
