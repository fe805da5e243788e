"""Work shared out to the processes of a Ray cluster, or of a Ray of its own on this machine, results in order.

Ray places the workers, moves items and results, and hands items out: actors in a `ray.util.ActorPool`. Ray Data, which
would do the rest as well, does not suit what is wanted here: its sources are files or whole lists, never a generator
on this side that is read a bounded number ahead, and the first failure reaches the caller through layers that no
longer say what it was.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fercli.errors import FerError, UsageError

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 5.0
"""Seconds that a cluster has to answer."""
STORE = 128 * 2**20
"""Bytes of shared memory for a Ray of our own: results of a few pictures each wait there."""
AHEAD = 4
"""Items a worker that are handed out and not yet taken: while a slow one is waited for, the others go on."""

_LOCAL = "local"
# Ray tells its makers of each use unless told not to; the others keep it from writing on stderr.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def on_ray(
    make: Callable[[], Callable[[T], R]],
    items: Iterable[T],
    *,
    workers: int | None,
    address: str | None = None,
    gpus: float = 0.0,
) -> Generator[R]:
    """Yield what workers make of each item, in the items' order; at most `AHEAD` a worker are handed out ahead.

    Where the process is connected to Ray already, that one is used; else the one at `address`; else one is started
    on this machine and stopped at the end. When the caller stops early, what is in flight is cancelled. fercli must be
    installed on every machine of a cluster.

    Args:
        make: Called once in each worker, before its first item; returns the function that all its items go through.
            Both travel pickled, as do items and results.
        items: Taken one by one, as workers become free.
        workers: Processes of one core each; None for all free cores (of the cluster, or of this machine).
        address: HOST:PORT or `auto` of a cluster that runs; None: what the variable RAY_ADDRESS says.
        gpus: GPUs a worker takes; the workers are then as many as have one.

    Raises:
        UsageError: there are to be no workers.
        FerError: Ray is not installed, the cluster does not answer or has no room, or a worker died.
        Exception: the first, in order of the items, that a worker raised.
    """
    if workers == 0:
        raise UsageError("workers: 0 is none beside this process, and Ray's are others; give 1 or more, or none")
    ray = _ray()
    with _quiet(), _connected(ray, workers, address):
        actors = _actors(ray, make, workers, gpus)
        try:
            yield from _in_order(ray, actors, iter(items))
        finally:
            for actor in actors:
                ray.kill(actor)


def check_ray(address: str | None) -> None:
    """See quickly whether `on_ray` would find Ray, and a cluster where one is named.

    Raises:
        UsageError: the address is none.
        FerError: Ray is not installed, or nobody answers at the address.
    """
    if not _ray().is_initialized() and (place := _place(address)) != _LOCAL:
        _knock(place)


def _place(address: str | None) -> str:
    return address or os.environ.get("RAY_ADDRESS") or _LOCAL


def _ray() -> Any:
    try:
        with _quiet():
            import ray
            import ray.util  # so that ray.util is there for all
    except ImportError as error:
        raise FerError("Ray is not installed; pip install 'fercli[ray]'") from error
    return ray


@contextmanager
def _quiet() -> Iterator[None]:
    """Set what Ray reads from the environment while it is imported and runs; what the caller has set counts."""
    added = {name: value for name, value in _QUIET.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


class _Worker:
    """What an actor is: the function is made with its first item, so that a failure there is told as any other."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._make = make
        self._function: Callable[[Any], Any] | None = None

    def call(self, number: int, item: Any) -> tuple[int, Any, FerError | None]:
        """Return the item's number, and what became of it or why it failed."""
        try:
            if self._function is None:
                self._function = self._make()
            return number, self._function(item), None
        except FerError as error:  # as a value: raised, it would come back as another type
            return number, None, error


def _actors(ray: Any, make: Callable[[], Callable[[T], R]], workers: int | None, gpus: float) -> list[Any]:
    """Start the workers, no more than there is room for: one that waits for room would hold its items back."""
    whole = _room(ray.cluster_resources(), gpus)
    if not whole:
        raise FerError(f"Ray: no {'GPU' if gpus else 'core'} in the cluster for a worker to take")
    wanted = whole if workers is None else max(1, min(workers, whole))
    patience = time.monotonic() + PATIENCE
    # What has just ended, our own last workers perhaps, is counted as free only after a while.
    while (room := _room(ray.available_resources(), gpus)) < wanted and time.monotonic() < patience:
        time.sleep(0.05)
    count = min(room, wanted)
    if not count:
        raise FerError("Ray: all the cluster is busy; wait for its other work to end")
    # Not started again when it dies: Ray would tell of that on stdout, also of those that are ended on purpose.
    actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Worker)
    return [actor.remote(make) for _ in range(count)]


def _room(resources: dict[str, float], gpus: float) -> int:
    """Return how many workers find place in a cluster's cores and GPUs."""
    cores = int(resources.get("CPU", 0))
    return min(cores, int(resources.get("GPU", 0) / gpus)) if gpus else cores


def _in_order(ray: Any, actors: list[Any], items: Iterator[T]) -> Iterator[Any]:
    # Each stands in the pool twice: its next item is there when it is done with one.
    pool = ray.util.ActorPool(actors * 2)
    ready: dict[int, tuple[Any, FerError | None]] = {}
    taken = handed = 0
    more = True
    while True:
        while more and handed - taken < AHEAD * len(actors):
            try:
                item = next(items)
            except StopIteration:
                more = False
                break
            pool.submit(lambda actor, given: actor.call.remote(*given), (handed, item))
            handed += 1
        if taken == handed:
            return
        while taken not in ready:
            number, result, failed = _next(ray, pool)
            ready[number] = result, failed
        result, failed = ready.pop(taken)
        if failed is not None:
            raise failed
        taken += 1
        yield result


def _next(ray: Any, pool: Any) -> tuple[int, Any, FerError | None]:
    try:
        answer: tuple[int, Any, FerError | None] = pool.get_next_unordered()
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, Exception) and not isinstance(error.cause, ray.exceptions.RayError):
            raise error.cause from error
        raise
    except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError) as error:
        why = str(error).strip().splitlines()[-1]
        if "creation task" in str(error):
            raise FerError(f"Ray: no worker can be started ({why}); is fercli installed on every machine?") from error
        raise FerError(f"Ray: a worker died ({why}); call again, perhaps with fewer --workers") from error
    return answer


@contextmanager
def _connected(ray: Any, workers: int | None, address: str | None) -> Iterator[None]:
    """Be connected to a Ray: the caller's, a cluster's, or one of our own, which ends with this."""
    if ray.is_initialized():
        yield
        return
    address = _place(address)
    own: dict[str, Any] = {}
    if address == _LOCAL:
        own = {
            "num_cpus": max(1, workers if workers is not None else os.cpu_count() or 1),
            "object_store_memory": STORE,
            "include_dashboard": False,
        }
    else:
        _knock(address)
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, **own, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises plain ones, of several lines
        ray.shutdown()
        told = (str(error) or repr(error)).strip().splitlines()[0]
        if own:
            raise FerError(f"Ray cannot be started on this machine: {told}") from error
        raise FerError(f"Ray at {address}: {told} (if it asks for a token, set RAY_AUTH_MODE=token)") from error
    finally:
        if main:  # Ray's own handler would end the process without a word
            signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See whether anybody answers at an address: Ray itself would try for a minute or more.

    Raises:
        UsageError: it is no address.
        FerError: nobody does.
    """
    if address == "auto":
        return
    parts = re.fullmatch(r"(?:ray://)?\[?([^\s/\]]+)\]?:(\d{1,5})", address)
    if parts is None or not 0 < int(parts[2]) < 2**16:
        raise UsageError(f"Ray address '{address}': wanted as HOST:PORT, or auto for the cluster of this machine")
    try:
        socket.create_connection((parts[1], int(parts[2])), timeout=PATIENCE).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FerError(
            f"Ray at {address}: no cluster answers there ({reason}); start one by 'ray start --head', "
            "or leave the address out (and RAY_ADDRESS unset) for one on this machine"
        ) from error
