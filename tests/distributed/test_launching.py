"""Processes started by torch.distributed.run: what they exchange, and how they fail."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import Any

import pytest

from fercli.distributed.launching import run_on_devices
from fercli.errors import DataError, FerError
from tests.helpers.training import Listener

pytestmark = pytest.mark.long


def run(name: str, listener: Listener | None = None, notes: list[Any] | None = None, **task: Any) -> Any:
    notify = (lambda content: None) if notes is None else notes.append
    return run_on_devices(f"tests.helpers.distributed:{name}", task, 2, listener or Listener(), notify)


def test_two_processes_exchange_values_and_report_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    listener, notes = Listener(), list[Any]()
    found = run("exchange", listener, notes, count=5)
    assert found == {
        "size": 2,
        "broadcast": "from 0",
        "overwritten": [0.0, 0.0],
        "sum": 3.0,
        "rows": [0.0, 1.0, 2.0, 3.0, 4.0],
        "threads": str(max(1, (os.cpu_count() or 1) // 2)),
    }
    assert listener.lines == ["rank 0"]
    assert (listener.totals, listener.done, listener.notes) == ([2], 2, ["note"])
    assert notes == [{"rank": 0}]


@pytest.mark.parametrize(
    ("rank", "how", "kind", "message"),
    [
        (0, "error", DataError, r"^a broken pack$"),
        (1, "error", DataError, r"^device 1: a broken pack$"),
        (1, "unexpected", FerError, r"^device 1: unexpected ZeroDivisionError: by zero$"),
        (1, "killed", FerError, r"^the process of device 1 was killed, perhaps for want of memory; repeat the call"),
    ],
)
def test_the_first_failure_ends_all_with_one_line(rank: int, how: str, kind: type, message: str) -> None:
    listener, started = Listener(), time.monotonic()
    with pytest.raises(kind, match=message):
        run("go_wrong", listener, rank=rank, how=how)
    assert time.monotonic() - started < 60  # most of it to start; the others would wait for half an hour
    assert_ended(listener)


def test_an_interruption_ends_all() -> None:
    listener = Listener()

    def interrupt() -> None:
        while not listener.lines:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run("go_wrong", listener, rank=1, how="hang")
    assert_ended(listener)


def test_a_process_that_cannot_start_is_reported() -> None:
    with pytest.raises(FerError, match=r"No module named .?tests.helpers.nothing"):
        run_on_devices("tests.helpers.nothing:run", {}, 2, Listener(), lambda content: None)


def assert_ended(listener: Listener) -> None:
    for pid in re.findall(r"pid (\d+)", " ".join(listener.lines)):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
