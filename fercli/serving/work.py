"""Work in threads for an event loop, and places that are limited in number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from fercli.parallel import num_threads

R = TypeVar("R")


class Workers:
    """Threads for computing, as many as there are cores: more would only take turns.

    Args:
        workers: Number of threads; None for one per core.
    """

    def __init__(self, workers: int | None) -> None:
        self._pool = ThreadPoolExecutor(num_threads(workers), thread_name_prefix="fer-serve")

    async def run(self, function: Callable[[], R]) -> R:
        """Return the result of a function that is called in a thread; what it raises is raised here."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Give up what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class NoPlaceError(Exception):
    """All places are taken."""


class Places:
    """A number of places. Used by one event loop, so nothing needs to be locked.

    Args:
        number: How many there are.
    """

    def __init__(self, number: int) -> None:
        self._free = number

    @contextmanager
    def take(self) -> Iterator[None]:
        """Take a place while the block runs.

        Raises:
            NoPlaceError: there is none.
        """
        if not self._free:
            raise NoPlaceError
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
