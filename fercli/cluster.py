"""An ordered map over the workers of a Ray cluster, or of a local Ray instance.

Ray places the workers and distributes items and results, as actors in a `ray.util.ActorPool`. Ray Data does not fit:
its sources are files or whole lists, never a local generator with bounded look-ahead, and errors
reach the caller wrapped in layers that hide the original one.
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
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fercli.environment import default_environment
from fercli.errors import DataError, FerError, UsageError

T = TypeVar("T")
R = TypeVar("R")

TIMEOUT = 5.0
"""Seconds to wait for a cluster to answer."""
OBJECT_STORE_BYTES = 128 * 2**20
"""Shared memory of a local Ray instance: it only holds pending results of a few images each."""
MAX_IN_FLIGHT = 4
"""Items in flight per worker, so that a slow item does not stall the other workers."""

_LOCAL = "local"
# The first turns off Ray's usage reports; the second silences a warning on stderr.
_RAY_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def map_on_ray(
    make: Callable[[], Callable[[T], R]],
    items: Iterable[T],
    *,
    workers: int | None,
    address: str | None = None,
    gpus: float = 0.0,
    cores: int = 1,
    long: bool = False,
) -> Generator[R]:
    """Yield the result for each item, in order, with at most `MAX_IN_FLIGHT` items per worker in flight.

    Uses the Ray that the process is already connected to, else the cluster at `address`, else a local instance that is
    stopped at the end. If the caller stops early, items in flight are cancelled, after those being worked on were given
    `TIMEOUT` seconds to end. fercli must be installed on every machine of the cluster.

    Args:
        make: Called once in each worker, before its first item; returns the function to apply to each item. Must be
            picklable, as must the items and results.
        items: Read one at a time, as workers become free.
        workers: Number of processes; None for as many as fit into the cluster or this machine.
        address: HOST:PORT of a running cluster, or `auto`; None for the value of RAY_ADDRESS.
        gpus: GPUs per worker, whole or a share of one; limits the number of workers.
        cores: Cores per worker, likewise.
        long: Items take minutes: none is queued at a worker while another may be free.

    Raises:
        UsageError: `workers` is 0.
        FerError: Ray is not installed, the cluster does not answer or has no free resources, or a worker died.
        Exception: the first exception, in item order, that a worker raised.
    """
    if workers == 0:
        raise UsageError("workers: 0 means only the main process; engine ray needs at least 1")
    ray = _import_ray()
    with default_environment(_RAY_ENVIRONMENT), _connected(ray, workers and workers * cores, address):
        actors = _actors(ray, make, workers, gpus, cores)
        in_flight: dict[int, Any] = {}
        try:
            yield from _in_order(ray, actors, iter(items), in_flight, 1 if long else 2)
        finally:
            _end(ray, actors, list(in_flight.values()))


def check_engine(engine: str, address: str | None) -> None:
    """Check quickly that Ray, if it is the engine, is installed, and that the cluster, if one is named, answers.

    Raises:
        UsageError: the address is invalid, or given without Ray.
        FerError: Ray is not installed, or the cluster does not answer.
    """
    if engine != "ray":
        if address is not None:
            raise UsageError("--ray-address: only with --engine ray")
        return
    if not _import_ray().is_initialized() and (resolved := _resolve_address(address)) != _LOCAL:
        _check_reachable(resolved)


def check_shared(path: Path, what: str) -> None:
    """Check in a worker that a path of the caller's exists there too.

    Raises:
        DataError: it does not; `what` names the files that have to be on a shared disk.
    """
    if not path.exists():
        raise DataError(f"{path}: not on {socket.gethostname()}; {shared_disk(what)}")


def shared_disk(what: str) -> str:
    """Return the advice where files are not on a disk shared by all machines."""
    return f"{what} must be on a disk shared by all machines of the cluster"


def _resolve_address(address: str | None) -> str:
    return address or os.environ.get("RAY_ADDRESS") or _LOCAL


def _import_ray() -> Any:
    try:
        with default_environment(_RAY_ENVIRONMENT):
            import ray
            import ray.util  # `import ray` alone does not load it
    except ImportError as error:
        raise FerError("Ray is not installed; pip install 'fercli[ray]'") from error
    return ray


class _Worker:
    """The actor class. It creates the function on its first item, so that errors are reported as usual."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._make = make
        self._function: Callable[[Any], Any] | None = None

    def call(self, number: int, item: Any) -> tuple[int, Any, FerError | None]:
        """Return the item's number, its result, and the error if it failed."""
        try:
            if self._function is None:
                self._function = self._make()
            return number, self._function(item), None
        except FerError as error:  # returned, since Ray changes the type of raised errors
            return number, None, error


def _actors(ray: Any, make: Callable[[], Callable[[T], R]], workers: int | None, gpus: float, cores: int) -> list[Any]:
    """Start as many workers as there are free resources: a pending worker would delay its items."""
    total = _max_workers(ray.cluster_resources(), gpus, cores)
    if not total:
        of = f" ({cores} cores)" if cores > 1 else ""
        raise FerError(f"Ray: the cluster has no {'GPU' if gpus else 'CPU core'} for a worker{of}")
    wanted = total if workers is None else max(1, min(workers, total))
    deadline = time.monotonic() + TIMEOUT
    # Resources of workers that have just ended are reported as free only after a while.
    while (free := _max_workers(ray.available_resources(), gpus, cores)) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    count = min(free, wanted)
    if not count:
        raise FerError("Ray: the whole cluster is busy; try again when other jobs have finished")
    # No restarts: Ray would report them on stdout, even for actors that are killed on purpose.
    actor = ray.remote(num_cpus=cores, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Worker)
    return [actor.remote(make) for _ in range(count)]


def _max_workers(resources: dict[str, float], gpus: float, cores: int) -> int:
    """Return how many workers fit into the given cores and GPUs."""
    fitting = int(resources.get("CPU", 0) / cores)
    return min(fitting, int(resources.get("GPU", 0) / gpus)) if gpus else fitting


def _end(ray: Any, actors: list[Any], in_flight: list[Any]) -> None:
    """End the workers. A killed worker may run on for a moment and write files that the caller is removing."""
    try:
        for reference in in_flight:
            ray.cancel(reference)  # has an effect only on items that no worker has started
        if in_flight:
            ray.wait(in_flight, num_returns=len(in_flight), timeout=TIMEOUT)
    finally:
        for actor in actors:
            ray.kill(actor)


def _in_order(ray: Any, actors: list[Any], items: Iterator[T], in_flight: dict[int, Any], queued: int) -> Iterator[Any]:
    # An actor may be in the pool twice, so that its next item is queued while it works on one.
    pool = ray.util.ActorPool(actors * queued)
    ready: dict[int, tuple[Any, FerError | None]] = {}
    yielded = submitted = 0
    more = True
    while True:
        while more and submitted - yielded < MAX_IN_FLIGHT * len(actors):
            try:
                item = next(items)
            except StopIteration:
                more = False
                break
            pool.submit(partial(_submit, in_flight), (submitted, item))
            submitted += 1
        if yielded == submitted:
            return
        while yielded not in ready:
            number, result, failed = _next_result(ray, pool)
            del in_flight[number]
            ready[number] = result, failed
        result, failed = ready.pop(yielded)
        if failed is not None:
            raise failed
        yielded += 1
        yield result


def _submit(in_flight: dict[int, Any], actor: Any, numbered: tuple[int, Any]) -> Any:
    """Start the work on a numbered item, called by the pool when the worker is free; return the reference."""
    in_flight[numbered[0]] = reference = actor.call.remote(*numbered)
    return reference


def _next_result(ray: Any, pool: Any) -> tuple[int, Any, FerError | None]:
    try:
        answer: tuple[int, Any, FerError | None] = pool.get_next_unordered()
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, Exception) and not isinstance(error.cause, ray.exceptions.RayError):
            raise error.cause from error
        raise
    except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError) as error:
        why = str(error).strip().splitlines()[-1]
        if "creation task" in str(error):
            raise FerError(f"Ray: workers cannot be started ({why}); is fercli installed on every machine?") from error
        raise FerError(f"Ray: a worker died ({why}); try again, perhaps with fewer workers") from error
    return answer


@contextmanager
def _connected(ray: Any, cores: int | None, address: str | None) -> Iterator[None]:
    """Connect to Ray: the caller's, a cluster's, or a local instance, that is stopped on exit."""
    if ray.is_initialized():
        yield
        return
    address = _resolve_address(address)
    local: dict[str, Any] = {}
    if address == _LOCAL:
        local = {
            "num_cpus": max(1, cores if cores is not None else os.cpu_count() or 1),
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    else:
        _check_reachable(address)
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, **local, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises bare exceptions with messages of several lines
        ray.shutdown()
        reason = (str(error) or repr(error)).strip().splitlines()[0]
        if local:
            raise FerError(f"Ray cannot be started on this machine: {reason}") from error
        raise FerError(f"Ray at {address}: {reason} (if it asks for a token, set RAY_AUTH_MODE=token)") from error
    finally:
        if main:  # Ray's own handler would end the process silently
            signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Check that something listens at an address: Ray itself would retry for a minute or more.

    Raises:
        UsageError: the address is invalid.
        FerError: nothing listens there.
    """
    if address == "auto":
        return
    parts = re.fullmatch(r"(?:ray://)?\[?([^\s/\]]+)\]?:(\d{1,5})", address)
    if parts is None or not 0 < int(parts[2]) < 2**16:
        raise UsageError(f"Ray address '{address}': expected HOST:PORT, or auto for the cluster of this machine")
    try:
        socket.create_connection((parts[1], int(parts[2])), timeout=TIMEOUT).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FerError(
            f"Ray at {address}: no cluster answers ({reason}); start one with 'ray start --head', "
            "or omit the address (and unset RAY_ADDRESS) to use this machine"
        ) from error
