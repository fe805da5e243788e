"""Mapping on Ray with two workers: ordered results, bounded look-ahead, original errors, clean shutdown."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from fercli.cluster import MAX_IN_FLIGHT, map_on_ray
from fercli.errors import DataError, FerError, ImageError, UsageError
from tests.helpers.datasets import names, python
from tests.helpers.ray_cluster import two_workers

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """Ray with two workers, shared by the tests of this module."""
    with two_workers():
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import this module
        yield


def squarer() -> Callable[[int], tuple[int, int]]:
    """Return a function that returns the square and the process id."""
    own = os.getpid()
    return lambda x: (x * x, own)


def uneven() -> Callable[[int], int]:
    def call(x: int) -> int:
        time.sleep(0.2 if x == 0 else 0)
        return x

    return call


def failing() -> Callable[[int], int]:
    def call(x: int) -> int:
        if x == 5:
            raise ImageError("truncated", "a.png: truncated")
        if x == 9:
            raise KeyError("nine")
        return x

    return call


def killing() -> Callable[[int], int]:
    def call(x: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return x

    return call


def slow_writer(folder: Path) -> Callable[[int], int]:
    def call(x: int) -> int:
        for number in range(400 if x else 1):
            (folder / f"{x}-{number}").touch()
            time.sleep(0.001)
        return x

    return call


def failing_factory() -> Callable[[int], int]:
    raise DataError("weights.onnx: not YuNet's")


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
class TestTwoWorkers:
    def test_results_are_in_order_from_both_workers(self) -> None:
        results = list(map_on_ray(squarer, range(60), workers=None))
        assert [value for value, _ in results] == [x * x for x in range(60)]
        assert len({process for _, process in results} - {os.getpid()}) == 2
        assert list(map_on_ray(squarer, [], workers=2)) == []

    def test_order_and_bounded_look_ahead_with_a_slow_item(self) -> None:
        read = []

        def items() -> Iterator[int]:
            for item in range(1000):
                read.append(item)
                yield item

        results = map_on_ray(uneven, items(), workers=2)
        assert [next(results) for _ in range(20)] == list(range(20))
        assert len(read) <= 20 + 2 * MAX_IN_FLIGHT
        results.close()
        deadline = time.monotonic() + 10
        while ray.available_resources().get("CPU") != 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ray.available_resources()["CPU"] == 2  # the workers are gone, but the caller's Ray still runs
        assert ray.is_initialized()

    def test_errors_keep_their_type_and_position(self) -> None:
        results = map_on_ray(failing, range(20), workers=1)
        assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(ImageError, match=r"^a\.png: truncated$") as raised:
            next(results)
        assert raised.value.reason == "truncated"
        with pytest.raises(KeyError, match="nine"):
            list(map_on_ray(failing, range(6, 20), workers=1))
        with pytest.raises(DataError, match=r"^weights\.onnx: not YuNet's$"):
            list(map_on_ray(failing_factory, range(3), workers=2))

    def test_nothing_is_written_after_an_early_end(self, tmp_path: Path) -> None:
        results = map_on_ray(partial(slow_writer, tmp_path), range(20), workers=2)
        assert next(results) == 0
        results.close()
        written = names(tmp_path)
        time.sleep(0.5)
        assert names(tmp_path) == written

    def test_dead_worker_is_an_error(self) -> None:
        with pytest.raises(FerError, match=r"Ray: a worker died \(.*\); try again, perhaps with fewer workers"):
            list(map_on_ray(killing, range(3), workers=1))

    def test_missing_gpu_is_an_error(self) -> None:
        if not ray.available_resources().get("GPU"):
            with pytest.raises(FerError, match="Ray: the cluster has no GPU"):
                next(map_on_ray(squarer, range(3), workers=1, gpus=1.0))


LOCAL_INSTANCE = """
import sys, signal
from fercli.cluster import map_on_ray
def mine(number, frame): print("mine")
signal.signal(signal.SIGTERM, mine)
results = map_on_ray(lambda: lambda x: -x, range(10**9), workers=1)
print(next(results), next(results))
results.close()
import ray
print(ray.is_initialized(), signal.getsignal(signal.SIGTERM) is mine)
"""


@pytest.mark.long
def test_local_instance_is_quiet_and_stopped_at_the_end() -> None:
    process = python(LOCAL_INSTANCE)
    out, err = process.communicate(timeout=120)
    assert (out.splitlines(), err, process.returncode) == (["0 -1", "False True"], "", 0)


@pytest.mark.parametrize("address", ["nowhere", "host:", ":80", "host:0", "host:99999", "http://host:80", "a b:1", ""])
def test_invalid_address_is_a_usage_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", address or "none")
    with pytest.raises(UsageError, match=f"Ray address '{address or 'none'}': expected HOST:PORT, or auto"):
        next(map_on_ray(squarer, range(3), workers=1, address=address))


@pytest.mark.slow
def test_unreachable_cluster_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(FerError, match=rf"Ray at 127\.0\.0\.1:{port}: no cluster answers \(Connection refused\)"):
        next(map_on_ray(squarer, range(3), workers=1, address=f"127.0.0.1:{port}"))
    with pytest.raises(FerError, match="no cluster answers"):
        next(map_on_ray(squarer, range(3), workers=1, address="no-such-host.invalid:6379"))


@pytest.mark.slow
def test_missing_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FerError, match=r"Ray is not installed; pip install 'fercli\[ray\]'"):
        next(map_on_ray(squarer, range(3), workers=1))
