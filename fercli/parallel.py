"""Work shared out to threads: results in order, a bounded number ahead, none left running when a stage fails."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

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
    """Return a pool of threads: as many as workers, None for one a core; with 0 the caller's own does the work."""
    return _InlineExecutor() if workers == 0 else ThreadPoolExecutor(num_threads(workers))


def num_threads(workers: int | None) -> int:
    """Return how many work at a time: the workers, None for one a core; with 0 the caller's own alone."""
    return (os.cpu_count() or 1) if workers is None else max(1, workers)


class _InlineExecutor(Executor):
    """Does the work when it is handed in, in the caller's thread."""

    def submit(self, function: Callable[..., R], /, *arguments: Any, **options: Any) -> Future[R]:
        done: Future[R] = Future()
        try:
            done.set_result(function(*arguments, **options))
        except Exception as error:
            done.set_exception(error)
        return done
