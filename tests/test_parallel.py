"""Thread pools: ordered results, bounded look-ahead, and no threads left running."""

import threading
from collections.abc import Iterator

import pytest

from fercli.parallel import executor, in_threads, num_threads


@pytest.mark.parametrize("workers", [0, 1, 3, None])
def test_results_in_order(workers: int | None) -> None:
    assert list(in_threads(lambda x: x * x, range(100), workers)) == [x * x for x in range(100)]


@pytest.mark.parametrize("workers", [0, 2])
def test_bounded_look_ahead(workers: int) -> None:
    read = []

    def items() -> Iterator[int]:
        for item in range(1000):
            read.append(item)
            yield item

    results = in_threads(lambda x: x, items(), workers)
    for _ in range(10):
        next(results)
    assert len(read) <= 10 + 2 * workers + 1


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_keep_their_position_and_stop_the_threads(workers: int) -> None:
    def fail(x: int) -> int:
        if x >= 5:
            raise ValueError(str(x))
        return x

    before = threading.active_count()
    results = in_threads(fail, range(100), workers)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5"):
        next(results)
    assert threading.active_count() == before


def test_executor_without_workers_runs_inline() -> None:
    before = threading.active_count()
    with executor(0) as pool:
        assert pool.submit(threading.get_ident).result() == threading.get_ident()
        assert threading.active_count() == before
        failed = pool.submit(int, "x")
        with pytest.raises(ValueError, match="x"):
            failed.result()
    with executor(2) as pool:
        assert pool.submit(threading.get_ident).result() != threading.get_ident()
    assert [num_threads(n) for n in (0, 1, 5)] == [1, 1, 5]
    assert num_threads(None) >= 1
