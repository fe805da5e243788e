"""Progress from Python: a plain bar where a person looks on, and silence elsewhere."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from fercli.progress import SILENT, Progress, TextProgress, progress_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def last_lines(text: str) -> list[str]:
    """Return what stands on each line in the end."""
    return [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]


def test_a_bar_is_drawn_and_logs_stand_above_it() -> None:
    stream = io.StringIO()
    progress = TextProgress(stream)
    progress.start("training", 10)
    progress.log("epoch 1\x1b[2J")
    progress.advance(5, "epoch 2/2")
    progress.stop()
    progress.stop()
    log, bar, rest = last_lines(stream.getvalue())
    assert log == "epoch 1_[2J"
    assert bar == "training [############............]  50% 5/10 0:00 epoch 2/2"
    assert rest == ""
    assert "\x1b" not in stream.getvalue()


def test_without_a_total_units_are_counted() -> None:
    stream = io.StringIO()
    progress = TextProgress(stream)
    assert list(progress.track(iter("abc"), "reading")) == ["a", "b", "c"]
    assert last_lines(stream.getvalue())[0] == "reading 3 0:00"


def test_who_looks_on_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Progress()
    assert progress_of(own) is own
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress_of(None) is SILENT
    assert isinstance(progress_of(True), TextProgress)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(progress_of(None), TextProgress)
    assert progress_of(False) is SILENT
    monkeypatch.setattr(sys, "stderr", None)
    assert progress_of(None) is SILENT


def test_a_notebook_gets_it_on_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    progress = progress_of(None)
    progress.log("here")
    assert "here\n" in out.getvalue()
