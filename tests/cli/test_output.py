"""Progress on a terminal and in a log, and what a stage's end says."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import fercli
from fercli.cli import progress_bar as bar
from fercli.cli.progress_bar import RateMeter, console_progress
from fercli.cli.steps import next_step, shell_word
from fercli.progress import clock
from tests.helpers.cli import Ended
from tests.helpers.datasets import face, make_dataset, small_csv
from tests.helpers.photographs import photograph

Fer = Callable[..., Ended]


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_share_count_speed_and_time_left() -> None:
    time = Clock()
    pace = RateMeter(1000, time)
    assert pace.stats() == ["0%", "0/1,000", "0:00"]
    for _ in range(10):
        time.now += 1
        pace.advance(20)
    assert pace.stats() == ["20%", "200/1,000", "20/s", "0:40 left"]
    time.now += 10
    assert pace.stats() == ["20%", "200/1,000", "10/s", "1:20 left"]
    pace.advance(800)
    assert pace.stats()[0] == "100%"
    pace.advance(5)  # more than was known
    assert pace.stats()[0] == "100%"


def test_what_an_interrupted_call_had_done_is_no_speed() -> None:
    time = Clock()
    pace = RateMeter(1000, time)
    pace.advance(900)
    time.now = 10
    pace.advance(10)
    assert pace.stats() == ["91%", "910/1,000", "1.0/s", "1:30 left"]


def test_the_speed_is_the_last_half_minutes() -> None:
    time = Clock()
    pace = RateMeter(None, time)
    for second in range(300):
        time.now += 1
        pace.advance(1000 if second < 100 else 10)
    assert pace.stats() == ["102,000", "10/s", "5:00"]


def test_a_burst_is_no_speed() -> None:
    time = Clock()
    pace = RateMeter(100, time)
    time.now = 5
    for _ in range(8):
        pace.advance(1)
    assert pace.stats() == ["8%", "8/100", "1.6/s", "0:58 left"]


def test_unknown_and_empty_tasks() -> None:
    for total in (None, 0):
        assert RateMeter(total, Clock()).stats() == ["0:00"]
    assert [clock(s) for s in (0.4, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "1:00:00"]


def test_a_long_task_tells_a_log_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar, "LOG_INTERVAL", 0.0)
    stream = io.StringIO()
    with console_progress(Console(file=stream, highlight=False, width=80), "pack") as progress:
        progress.start("packing", 4)
        progress.advance(1, "a [red] note")
        progress.stop()
        progress.advance(1)
    assert stream.getvalue().splitlines() == ["packing: 25%, 1/4, 0:00, a [red] note"]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_bar_is_one_line_of_a_terminal(columns: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, highlight=False, _environ={})
    with console_progress(console, "train") as progress:
        assert isinstance(progress, bar.BarProgress)
        shown = _lines(progress, columns)
        assert shown.startswith("train: loading")
        progress.start("training", 1_400_000)
        progress.advance(431_200, "epoch 3, validation 61.20%")
        shown = _lines(progress, columns)
        assert shown.startswith("training")
        if columns > 40:
            assert "31%  431,200/1,400,000" in shown
        progress.log("[red]a line[/red]")
        progress.stop()
        assert _lines(progress, columns).startswith("train ")
    assert "[red]a line[/red]" in console.file.getvalue()  # type: ignore[attr-defined]


def _lines(progress: bar.BarProgress, columns: int) -> str:
    """Return the bar as drawn, checked to be one line."""
    console = Console(file=io.StringIO(), width=columns, _environ={})
    console.print(progress.bar.get_renderable())
    drawn = console.file.getvalue().rstrip("\n")  # type: ignore[attr-defined]
    assert "\n" not in drawn
    assert len(drawn) <= columns
    return drawn


def test_a_stage_ends_with_its_time_and_what_comes_next(
    fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "a.csv", each=1)
    line = fer("import", "a.csv", "faces").lines[-1]
    assert re.fullmatch(r"took \d+\.\d s; next: fer clean faces cleaned", line)
    assert fer("import", "a.csv", "faces").lines == ["next: fer clean faces cleaned"]
    for flags in (("--json",), ("-q",)):
        assert not any("next: " in line for line in fer("import", "a.csv", "faces", *flags).lines)
    assert fer("clean", "faces", "cleaned").lines[-1].endswith("next: fer pack cleaned pack")
    assert fer("pack", "cleaned", "pack").lines[-1].endswith("next: fer train pack run")
    # What stands there already was made of it, or is another's.
    assert fer("clean", "faces", "cleaned").lines == ["next: fer pack cleaned pack"]
    (tmp_path / "run").mkdir()
    assert fer("pack", "cleaned", "pack").lines == ["next: fer train pack run-2"]
    # An artifact whose place was left out leaves out the next one's.
    shown = fer("import", "a.csv").lines[-1]
    assert re.search(r"next: fer clean artifacts/import-a-[0-9a-f]{6}$", shown), shown
    # Nothing can be trained on a test set.
    fer("import", "a.csv", "all", "--split", "test")
    assert "next: " not in fer("pack", "all", "test-pack").err
    report = fer("clean", "faces", "report", "--report-only").lines[-1]
    assert report.endswith("next: fer clean faces cleaned")


def test_nothing_is_next_where_nothing_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.png").write_bytes(b"")
    from tests.helpers.datasets import encoded

    (tmp_path / "raw" / "a.png").write_bytes(encoded(photograph((30, 10, 100))))
    unlabelled = fercli.detect(tmp_path / "raw", tmp_path / "faces")
    assert next_step(unlabelled) is None
    labelled = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1)})
    assert next_step(labelled) is not None


def test_words_of_a_shell() -> None:
    assert [shell_word(w) for w in ("a", "a b", "it's", "a\nb", "ä")] == [
        "a",
        "'a b'",
        "'it'\"'\"'s'",
        "$'a\\x0ab'",
        "'ä'",
    ]
    assert shell_word(Path("-x")) == "./-x"
