"""The progress callback: tasks, and the plain bar of calls from Python."""

import io
import sys
from types import SimpleNamespace

import pytest

from fercli.progress import SILENT, Progress, TextProgress, clock, progress_of


class Recorder(Progress):
    """Records its calls."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def start(self, label: str, total: int | None = None) -> None:
        self.calls.append((label, total))

    def advance(self, count: int = 1, note: str = "") -> None:
        self.calls.append(count)

    def stop(self) -> None:
        self.calls.append("stop")


def test_a_task_starts_and_stops() -> None:
    progress = Recorder()
    with progress.task("reading", 3):
        progress.advance(3)
    assert progress.calls == [("reading", 3), 3, "stop"]


def test_task_stops_when_its_block_fails() -> None:
    progress = Recorder()
    with pytest.raises(ZeroDivisionError), progress.task("reading"):
        _ = 1 / 0
    assert progress.calls == [("reading", None), "stop"]


def test_track() -> None:
    progress = Recorder()
    assert list(progress.track("ab", "reading", 2)) == ["a", "b"]
    assert progress.calls == [("reading", 2), 1, 1, "stop"]


def test_closing_the_iterator_stops_its_task() -> None:
    progress = Recorder()
    items = progress.track("ab", "reading", 2)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert progress.calls == [("reading", 2), "stop"]


@pytest.mark.parametrize(("seconds", "text"), [(5.2, "0:05"), (59.7, "1:00"), (754, "12:34"), (3723, "1:02:03")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


# --- the plain bar ---


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def final_lines(text: str) -> list[str]:
    """Return the final contents of each line."""
    return [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]


def test_bar_with_log_lines_above() -> None:
    stream = io.StringIO()
    progress = TextProgress(stream)
    progress.start("training", 10)
    progress.log("epoch 1\x1b[2J")
    progress.advance(5, "epoch 2/2")
    progress.stop()
    progress.stop()
    log, bar, rest = final_lines(stream.getvalue())
    assert log == "epoch 1_[2J"
    assert bar == "training [############............]  50% 5/10 0:00 epoch 2/2"
    assert rest == ""
    assert "\x1b" not in stream.getvalue()


def test_units_are_counted_without_a_total() -> None:
    stream = io.StringIO()
    progress = TextProgress(stream)
    assert list(progress.track(iter("abc"), "reading")) == ["a", "b", "c"]
    assert final_lines(stream.getvalue())[0] == "reading 3 0:00"


def test_progress_of(monkeypatch: pytest.MonkeyPatch) -> None:
    custom = Progress()
    assert progress_of(custom) is custom
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress_of(None) is SILENT
    assert isinstance(progress_of(True), TextProgress)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(progress_of(None), TextProgress)
    assert progress_of(False) is SILENT
    monkeypatch.setattr(sys, "stderr", None)
    assert progress_of(None) is SILENT


def test_notebook_output_goes_to_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    progress = progress_of(None)
    progress.log("here")
    assert "here\n" in out.getvalue()
