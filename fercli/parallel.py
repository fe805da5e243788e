"""Thread pools: ordered results, bounded look-ahead, and no thread left running when a stage fails."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T], workers: int | None, ahead: int = 2) -> Generator[R]:
    """Yield `function(item)` for each item, in order, with at most `ahead` pending results per thread.

    Args:
        function: Called in threads; should spend its time where the GIL is released (codecs, file access).
        items: Read one at a time, as threads become free.
        workers: Number of threads; None for one per CPU core, 0 to do everything in the calling thread.
        ahead: Use more than two if items differ much in duration, so that a slow one does not stall the others.

    Raises:
        Exception: the first exception, in item order, that `function` raised.
    """
    if workers == 0:
        yield from map(function, items)
        return
    threads = num_threads(workers)
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


def executor(workers: int | None) -> Executor:
    """Return a thread pool; with 0 workers, an executor that does everything in the calling thread."""
    return _InlineExecutor() if workers == 0 else ThreadPoolExecutor(num_threads(workers))


def num_threads(workers: int | None) -> int:
    """Return the number of concurrent threads: None for one per CPU core, 1 (the calling thread) for 0."""
    return (os.cpu_count() or 1) if workers is None else max(1, workers)


class _InlineExecutor(Executor):
    """Runs each task on submission, in the calling thread."""

    def submit(self, function: Callable[..., R], /, *arguments: Any, **options: Any) -> Future[R]:
        done: Future[R] = Future()
        try:
            done.set_result(function(*arguments, **options))
        except Exception as error:
            done.set_exception(error)
        return done
