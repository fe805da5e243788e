"""Work in threads: in order, a bounded number ahead, and none of it lost or left."""

import threading
from collections.abc import Iterator

import pytest

from fercli.parallel import executor, in_threads, num_threads


@pytest.mark.parametrize("workers", [0, 1, 3, None])
def test_results_in_order(workers: int | None) -> None:
    assert list(in_threads(lambda x: x * x, range(100), workers)) == [x * x for x in range(100)]


@pytest.mark.parametrize("workers", [0, 2])
def test_items_are_taken_a_bounded_number_ahead(workers: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_threads(lambda x: x, items(), workers)
    for _ in range(10):
        next(results)
    assert len(taken) <= 10 + 2 * workers + 1


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_out_where_it_happened_and_ends_the_threads(workers: int) -> None:
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


def test_an_executor_of_none_works_here_and_tells_of_errors() -> None:
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
