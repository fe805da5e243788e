"""The process of one device: `python -m fercli.distributed.worker`, under torch.distributed.run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Client, Connection
from typing import Any

from fercli.distributed.messages import ADDRESS, KEY, LostPeerError
from fercli.errors import DeviceMemoryError, DivergedError, FerError, reworded
from fercli.progress import SILENT, Progress


class _Sender(Progress):
    """Passes progress on to the process that started this one."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._send = connection.send

    def log(self, message: str) -> None:
        self._send(("log", message))

    def start(self, label: str, total: int | None = None) -> None:
        self._send(("start", label, total))

    def advance(self, count: int = 1, note: str = "") -> None:
        self._send(("advance", count, note))

    def stop(self) -> None:
        self._send(("stop",))


def main() -> int:
    """Run the function that the other process names; return the exit code."""
    connection = Client(os.environ.pop(ADDRESS), "AF_UNIX", authkey=bytes.fromhex(os.environ.pop(KEY)))
    rank = int(os.environ["RANK"])
    connection.send(("rank", rank))
    function, task = connection.recv()
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    progress: Progress = SILENT if rank else _Sender(connection)
    try:
        module, _, name = function.partition(":")
        call = getattr(import_module(module), name)
        answer: tuple[Any, ...] = ("done", call(task, progress, _ignore if rank else _notifier(connection)))
    except FerError as error:
        answer = ("failed", _of_rank(error, rank))
    except Exception as error:
        answer = ("failed", _of_rank(FerError(f"unexpected {type(error).__name__}: {error}"), rank))
    with suppress(OSError):
        connection.send(answer if rank == 0 or answer[0] == "failed" else ("done", None))
    if answer[0] == "failed":
        os._exit(1)  # without the exit of torch's exchanges, which might wait for the other processes
    return 0


def _notifier(connection: Connection[Any, Any]) -> Callable[[Any], None]:
    return lambda content: connection.send(("notify", content))


def _ignore(content: Any) -> None:
    """Ignore what only the first process passes on."""


def _of_rank(error: FerError, rank: int) -> FerError:
    if rank == 0 or isinstance(error, LostPeerError):
        return error
    if isinstance(error, DivergedError | DeviceMemoryError):
        return type(error)(f"device {rank}: {error}")
    return reworded(error, f"device {rank}: {error}")


def _end_with(connection: Connection[Any, Any]) -> None:
    """End this process when the one that started it is gone or no longer interested."""
    with suppress(EOFError, OSError):
        connection.recv()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
