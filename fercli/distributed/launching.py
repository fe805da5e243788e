"""Starting a process per device on this machine, by torch.distributed.run, and following them.

Each process connects to this one, which passes on their log lines and progress, and their first error. They end with
it: a process whose connection is closed ends at once.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import IO, Any

from fercli.distributed.messages import ADDRESS, KEY, LostPeerError
from fercli.environment import child_environment
from fercli.errors import FerError
from fercli.progress import Progress

_POLL = 0.2
"""Seconds between looks at new connections."""
_GRACE = 5.0
"""Seconds to wait for the cause after a process has lost another."""
_END = 40.0
"""Seconds to wait for torch.distributed.run to end its processes, which it kills after 30."""


def run_on_devices(
    function: str, task: Mapping[str, Any], count: int, progress: Progress, notify: Callable[[Any], None]
) -> Any:
    """Run a function in `count` processes, which can join a group (`fercli.distributed.group.joined`).

    Args:
        function: `module:function`; called with the task, a `Progress` and a function like `notify`, both of which have
            an effect in the first process alone.
        task: Its argument, which must be picklable.
        count: Number of processes.
        progress: Progress callback.
        notify: Called with what the first process passes on.

    Returns:
        The result of the first process.

    Raises:
        FerError: a process raised it or was killed; then the others are ended.
    """
    with tempfile.TemporaryDirectory(prefix="fercli-") as folder, tempfile.TemporaryFile("w+b") as log:
        key = secrets.token_bytes(32)
        with Listener(str(Path(folder) / "socket"), "AF_UNIX", authkey=key) as listener:
            launcher = _start(count, str(listener.address), key, log)
            processes = _Processes(count, (function, dict(task)), progress, notify)
            threading.Thread(target=_accept, args=(listener, count, processes.arrived), daemon=True).start()
            try:
                return processes.follow(launcher, log)
            finally:
                processes.close()
                _end(launcher)


def _start(count: int, address: str, key: bytes, log: IO[bytes]) -> subprocess.Popen[bytes]:
    threads = str(max(1, (os.cpu_count() or 1) // count))
    own = {ADDRESS: address, KEY: key.hex()}
    # Gloo looks up the name of the machine, which may not resolve; all processes are on this one.
    defaults = {"OMP_NUM_THREADS": threads, "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
    command = ["torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={count}"]
    command += [f"--log-dir={Path(address).parent}"]  # otherwise a new temporary folder, which it leaves behind
    return subprocess.Popen(
        [sys.executable, "-m", *command, "--module", "fercli.distributed.worker"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=child_environment() | {k: v for k, v in defaults.items() if k not in os.environ} | own,
        start_new_session=True,  # Ctrl-C reaches this process alone, which ends the others
    )


def _accept(listener: Listener, count: int, arrived: SimpleQueue[Connection[Any, Any]]) -> None:
    while count:
        try:
            arrived.put(listener.accept())
        except (AuthenticationError, EOFError, ConnectionError):
            continue
        except OSError:  # closed
            return
        count -= 1


def _end(launcher: subprocess.Popen[bytes]) -> None:
    launcher.terminate()
    try:
        launcher.wait(_END)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()


class _Processes:
    """The connections to the processes, and what has become of them."""

    def __init__(self, count: int, order: tuple[Any, ...], progress: Progress, notify: Callable[[Any], None]) -> None:
        self.arrived: SimpleQueue[Connection[Any, Any]] = SimpleQueue()
        self._count, self._order = count, order
        self._progress, self._notify = progress, notify
        self._ranks: dict[Connection[Any, Any], int | None] = {}
        self._done: dict[int, Any] = {}
        self._trouble: FerError | None = None
        self._deadline = float("inf")

    def follow(self, launcher: subprocess.Popen[bytes], log: IO[bytes]) -> Any:
        """Pass on messages until all processes have ended; return the result of the first."""
        while len(self._done) < self._count:
            with suppress(Empty):
                while True:
                    connection = self.arrived.get_nowait()
                    self._ranks[connection] = None
                    with suppress(OSError):  # it has been killed, as is found out below
                        connection.send(self._order)
            for ready in wait(list(self._ranks), _POLL) if self._ranks else ():
                self._receive(ready)  # type: ignore[arg-type]
            ended = launcher.poll() is not None and not self._ranks and self.arrived.empty()
            if self._trouble is not None and (ended or monotonic() > self._deadline):
                raise self._trouble
            if ended and len(self._done) < self._count:
                raise FerError(f"devices: the processes did not start ({_last_line(log)})")
        return self._done[0]

    def close(self) -> None:
        """Close the connections, which ends the processes."""
        for connection in self._ranks:
            connection.close()

    def _receive(self, connection: Connection[Any, Any]) -> None:
        rank = self._ranks[connection]
        try:
            kind, *content = connection.recv()
        except (EOFError, OSError):
            del self._ranks[connection]
            connection.close()
            if rank not in self._done:
                self._fail(
                    FerError(
                        f"the process of device {0 if rank is None else rank} was killed, perhaps for want of memory; "
                        "repeat the call to resume"
                    )
                )
            return
        if kind == "rank":
            self._ranks[connection] = content[0]
        elif kind == "done" and rank is not None:
            self._done[rank] = content[0]
        elif kind == "failed":
            error: FerError = content[0]
            if not isinstance(error, LostPeerError):
                raise error
            self._fail(error)
        elif kind == "notify":
            self._notify(*content)
        else:
            getattr(self._progress, kind)(*content)

    def _fail(self, error: FerError) -> None:
        """Keep an error, unless the real cause arrives soon: one that lost another process is a consequence."""
        if self._trouble is None or isinstance(self._trouble, LostPeerError):
            self._trouble = error
        if self._deadline == float("inf"):
            self._deadline = monotonic() + (_GRACE if isinstance(error, LostPeerError) else _POLL)


def _last_line(log: IO[bytes]) -> str:
    """Return the line of the error among what torch.distributed.run and the processes have printed."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return (errors or lines or ["no output"])[-1][:500]
