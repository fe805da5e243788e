"""Work in separate processes: one new process for each item, a limited number at a time.

For items that take minutes, such as trainings. Unlike with a pool, it is known which item a killed process worked on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from fercli.errors import FerError, reworded
from fercli.progress import Progress

T = TypeVar("T")
R = TypeVar("R")

TRIES = 2
"""A process that is killed is started again once: its item resumes from what it has saved."""


@dataclass
class _Worker(Generic[T]):
    """A running process, the item it works on, and the connection on which it reports."""

    item: T
    title: str
    attempt: int
    process: BaseProcess
    connection: Connection[Any, Any]


def in_processes(
    function: Callable[[T, Progress], R],
    items: Sequence[T],
    jobs: int,
    *,
    title: Callable[[T], str],
    progress: Progress,
) -> Generator[tuple[T, R]]:
    """Yield each item with `function(item, progress)`, computed in a process of its own, as they are finished.

    A process that is killed is started again, `TRIES` times in all. If one fails, or the caller stops early, the others
    are terminated.

    Args:
        function: A function of a module; its `progress` passes log lines on, and nothing else. Items and results must
            be picklable.
        items: Started in this order.
        jobs: Maximum number of processes at a time.
        title: Returns the name of an item, for messages.
        progress: Receives the log lines.

    Raises:
        FerError: `function` raised it (UsageError and DataError keep their type), or a process died; the message begins
            with the item's name.
    """
    waiting = [(item, 1) for item in items]
    running: dict[Connection[Any, Any], _Worker[T]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                worker = _start(function, *waiting.pop(0), title)
                running[worker.connection] = worker
            for connection in wait(list(running)):
                worker = running[connection]  # type: ignore[index]
                message = _receive(worker)
                if message[0] == "log":
                    progress.log(message[1])
                    continue
                del running[worker.connection]
                worker.process.join()
                worker.connection.close()
                if message[0] == "done":
                    yield worker.item, message[1]
                elif message[0] == "failed":
                    raise reworded(message[1], f"{worker.title}: {message[1]}")
                else:
                    waiting.insert(0, (worker.item, _next_attempt(worker, progress)))
    finally:
        _terminate(running.values())


def _start(function: Callable[[T, Progress], R], item: T, attempt: int, title: Callable[[T], str]) -> _Worker[T]:
    # Spawned, not forked: a fork of a process with torch's threads may hang.
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, function, item), daemon=True)
    process.start()
    theirs.close()  # so that the end of the process is noticed
    return _Worker(item, title(item), attempt, process, ours)


def _receive(worker: _Worker[T]) -> tuple[Any, ...]:
    try:
        message: tuple[Any, ...] = worker.connection.recv()
    except (EOFError, OSError):
        return ("died",)
    return message


def _next_attempt(worker: _Worker[T], progress: Progress) -> int:
    """Return the number of the next attempt of a process that died.

    Raises:
        FerError: there is none.
    """
    code = worker.process.exitcode or 0
    if code >= 0:
        raise FerError(
            f"{worker.title}: its process ended with code {code} before it began; in a script, make the call under "
            "if __name__ == '__main__', or use jobs 1"
        )
    name = signal.Signals(-code).name
    if worker.attempt == TRIES:
        raise FerError(
            f"{worker.title}: its process was killed {TRIES} times ({name}); use fewer jobs if memory is short, and "
            "repeat the call"
        )
    progress.log(f"{worker.title}: its process was killed ({name}); starting it again")
    return worker.attempt + 1


def _terminate(workers: Any) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join()
        worker.connection.close()


# --- in the process ---


class _Sender(Progress):
    """Passes log lines to the parent process."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection

    def log(self, message: str) -> None:
        self._connection.send(("log", message))


def _work(connection: Connection[Any, Any], function: Callable[[Any, Progress], Any], item: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which terminates this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answer: tuple[Any, ...] = ("done", function(item, _Sender(connection)))
    except FerError as error:
        answer = ("failed", error)
    except Exception as error:
        answer = ("failed", FerError(f"unexpected {type(error).__name__}: {error}"))
    with suppress(OSError):  # the parent has ended
        connection.send(answer)


def _end_with_parent() -> None:
    """End this process when its parent is gone, so that a killed call leaves nothing behind that holds its locks."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
