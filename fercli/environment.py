"""Environment variables of libraries, set for as long as they are needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def under_torchrun() -> bool:
    """Return whether torchrun started this process."""
    return all(name in os.environ for name in _TORCHRUN)


@contextmanager
def default_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs, unless the caller has set them."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def child_environment() -> dict[str, str]:
    """Return the environment for a Python process that is to find the same modules as this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
