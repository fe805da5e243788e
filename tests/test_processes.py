"""Work in separate processes."""

import os
import signal
import time
from pathlib import Path

import pytest

from fercli.errors import DataError, FerError, UsageError
from fercli.processes import in_processes
from fercli.progress import Progress
from tests.helpers.progress import Log

pytestmark = pytest.mark.slow


def title(item: object) -> str:
    return f"item {item}"


def square(item: int, progress: Progress) -> tuple[int, int]:
    progress.log(f"working on {item}")
    return item * item, os.getpid()


def fail(item: int, _progress: Progress) -> int:
    if item == 2:
        raise UsageError("there is no such thing")
    if item == 3:
        raise ValueError("a bug")
    if item == 4:
        raise DataError("is broken")
    return item


def die(item: tuple[Path, int], _progress: Progress) -> int:
    """Kill this process, the first so many times."""
    marks, times = item
    done = len(list(marks.iterdir()))
    if done < times:
        (marks / str(done)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return done


def wait_forever(item: Path, _progress: Progress) -> None:
    if item.name == "fails":
        while not (item.parent / "started").exists():
            time.sleep(0.01)
        raise FerError("failed")
    (item.parent / "started").write_text(str(os.getpid()))
    time.sleep(600)


def test_each_item_has_a_process_and_its_lines_are_passed_on() -> None:
    log = Log()
    found = dict(in_processes(square, [1, 2, 3], 2, title=title, progress=log))
    assert {item: value for item, (value, _) in found.items()} == {1: 1, 2: 4, 3: 9}
    assert len({pid for _, pid in found.values()} | {os.getpid()}) == 4
    assert sorted(log.lines) == ["working on 1", "working on 2", "working on 3"]


@pytest.mark.parametrize(
    ("item", "kind", "message"),
    [
        (2, UsageError, "item 2: there is no such thing"),
        (3, FerError, "item 3: unexpected ValueError: a bug"),
        (4, DataError, "item 4: is broken"),
    ],
)
def test_errors_name_the_item_and_keep_their_kind(item: int, kind: type[FerError], message: str) -> None:
    with pytest.raises(kind) as caught:
        list(in_processes(fail, [item], 1, title=title, progress=Progress()))
    assert str(caught.value) == message
    assert type(caught.value) is kind


def test_killed_processes_are_started_again_once(tmp_path: Path) -> None:
    log = Log()
    assert [value for _, value in in_processes(die, [(tmp_path, 1)], 1, title=lambda _: "it", progress=log)] == [1]
    assert log.lines == ["it: its process was killed (SIGKILL); starting it again"]
    again = tmp_path / "again"
    again.mkdir()
    with pytest.raises(FerError, match=r"it: its process was killed 2 times \(SIGKILL\)"):
        list(in_processes(die, [(again, 9)], 1, title=lambda _: "it", progress=log))


def test_others_are_terminated_when_one_fails(tmp_path: Path) -> None:
    items = [tmp_path / "waits", tmp_path / "fails"]
    with pytest.raises(FerError, match="fails: failed"):
        list(in_processes(wait_forever, items, 2, title=lambda item: item.name, progress=Progress()))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "started").read_text()), 0)
