"""The progress callback: tasks begin, move on, and end however their block does."""

import pytest

from fercli.progress import Progress, clock


class Calls(Progress):
    """Keeps what it is called with."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def start(self, label: str, total: int | None = None) -> None:
        self.calls.append((label, total))

    def advance(self, count: int = 1, note: str = "") -> None:
        self.calls.append(count)

    def stop(self) -> None:
        self.calls.append("stop")


def test_a_task_starts_and_stops() -> None:
    progress = Calls()
    with progress.task("reading", 3):
        progress.advance(3)
    assert progress.calls == [("reading", 3), 3, "stop"]


def test_a_task_stops_where_its_block_fails() -> None:
    progress = Calls()
    with pytest.raises(ZeroDivisionError), progress.task("reading"):
        _ = 1 / 0
    assert progress.calls == [("reading", None), "stop"]


def test_items_are_tracked() -> None:
    progress = Calls()
    assert list(progress.track("ab", "reading", 2)) == ["a", "b"]
    assert progress.calls == [("reading", 2), 1, 1, "stop"]


def test_a_generator_that_is_closed_early_stops_its_task() -> None:
    progress = Calls()
    items = progress.track("ab", "reading", 2)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert progress.calls == [("reading", 2), "stop"]


@pytest.mark.parametrize(("seconds", "text"), [(5.2, "0:05"), (59.7, "1:00"), (754, "12:34"), (3723, "1:02:03")])
def test_times_are_written_as_people_read_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text
