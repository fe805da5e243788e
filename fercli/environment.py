"""Environment variables of libraries, set for as long as they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


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
