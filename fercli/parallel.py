"""Work shared out to threads: results in order, a bounded number ahead, none left running when a stage fails."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T], workers: int | None, ahead: int = 2) -> Generator[R]:
    """Yield `function` of each item, in order. At most `ahead` results a thread wait to be taken.

    Args:
        function: Called in threads; it should spend its time where the interpreter's lock is let go (codecs, files).
        items: Taken one by one, as threads become free.
        workers: Threads; None for one a core, 0 for none beside the caller's.
        ahead: More than two where items take times of their own: while a slow one is waited for, the others go on.

    Raises:
        Exception: the first, in order, that `function` raised.
    """
    if workers == 0:
        yield from map(function, items)
        return
    threads = workers or os.cpu_count() or 1
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
