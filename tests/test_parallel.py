"""Work in threads: in order, a bounded number ahead, and none of it lost or left."""

import threading
from collections.abc import Iterator

import pytest

from fercli.parallel import in_threads


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
