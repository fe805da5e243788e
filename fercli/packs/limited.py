"""Opening a pack under resource limits, in a subprocess."""

from __future__ import annotations

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

from fercli.errors import DataError
from fercli.packs.file import read_info, read_paths
from fercli.packs.integrity import OPENS, REFUSED


def open_limited(file: str, seconds: str, memory: str) -> None:
    """Read a pack's metadata and paths under limits, then exit; run by `fercli.packs.integrity`."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = ceil(used.ru_utime + used.ru_stime) + int(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (end, end))
    with suppress(OSError, ValueError):  # only Linux reports current use and enforces the limit
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + int(memory), in_use + int(memory)))
    try:
        info = read_info(Path(file))
        for split in info.counts:
            read_paths(info, split)
    except DataError:
        os._exit(REFUSED)
    os._exit(OPENS)
