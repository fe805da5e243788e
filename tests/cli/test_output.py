"""Progress on a terminal and in a log, and the final lines of a stage."""

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
from tests.helpers.cli import CliResult
from tests.helpers.datasets import face, make_dataset, small_csv
from tests.helpers.photographs import photograph

Fer = Callable[..., CliResult]


class ManualClock:
    """A clock that is advanced by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_share_count_speed_and_time_left() -> None:
    time = ManualClock()
    meter = RateMeter(1000, time)
    assert meter.stats() == ["0%", "0/1,000", "0:00"]
    for _ in range(10):
        time.now += 1
        meter.advance(20)
    assert meter.stats() == ["20%", "200/1,000", "20/s", "0:40 left"]
    time.now += 10
    assert meter.stats() == ["20%", "200/1,000", "10/s", "1:20 left"]
    meter.advance(800)
    assert meter.stats()[0] == "100%"
    meter.advance(5)  # more than the total
    assert meter.stats()[0] == "100%"


def test_resumed_work_does_not_count_as_speed() -> None:
    time = ManualClock()
    meter = RateMeter(1000, time)
    meter.advance(900)
    time.now = 10
    meter.advance(10)
    assert meter.stats() == ["91%", "910/1,000", "1.0/s", "1:30 left"]


def test_speed_is_averaged_over_the_last_half_minute() -> None:
    time = ManualClock()
    meter = RateMeter(None, time)
    for second in range(300):
        time.now += 1
        meter.advance(1000 if second < 100 else 10)
    assert meter.stats() == ["102,000", "10/s", "5:00"]


def test_burst_is_averaged() -> None:
    time = ManualClock()
    meter = RateMeter(100, time)
    time.now = 5
    for _ in range(8):
        meter.advance(1)
    assert meter.stats() == ["8%", "8/100", "1.6/s", "0:58 left"]


def test_unknown_and_empty_totals() -> None:
    for total in (None, 0):
        assert RateMeter(total, ManualClock()).stats() == ["0:00"]
    assert [clock(s) for s in (0.4, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "1:00:00"]


def test_long_task_logs_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar, "LOG_INTERVAL", 0.0)
    stream = io.StringIO()
    with console_progress(Console(file=stream, highlight=False, width=80), "pack") as progress:
        progress.start("packing", 4)
        progress.advance(1, "a [red] note")
        progress.stop()
        progress.advance(1)
    assert stream.getvalue().splitlines() == ["packing: 25%, 1/4, 0:00, a [red] note"]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_bar_fits_one_line(columns: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, highlight=False, _environ={})
    with console_progress(console, "train") as progress:
        assert isinstance(progress, bar.BarProgress)
        shown = _draw_bar(progress, columns)
        assert shown.startswith("train: loading")
        progress.start("training", 1_400_000)
        progress.advance(431_200, "epoch 3, validation 61.20%")
        shown = _draw_bar(progress, columns)
        assert shown.startswith("training")
        if columns > 40:
            assert "31%  431,200/1,400,000" in shown
        progress.log("[red]a line[/red]")
        progress.stop()
        assert _draw_bar(progress, columns).startswith("train ")
    assert "[red]a line[/red]" in console.file.getvalue()  # type: ignore[attr-defined]


def _draw_bar(progress: bar.BarProgress, columns: int) -> str:
    """Return the drawn bar, after checking that it is one line."""
    console = Console(file=io.StringIO(), width=columns, _environ={})
    console.print(progress.bar.get_renderable())
    drawn = console.file.getvalue().rstrip("\n")  # type: ignore[attr-defined]
    assert "\n" not in drawn
    assert len(drawn) <= columns
    return drawn


@pytest.mark.slow
def test_stage_logs_its_duration_and_the_next_command(
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
    # Existing outputs: made from this input, or foreign.
    assert fer("clean", "faces", "cleaned").lines == ["next: fer pack cleaned pack"]
    (tmp_path / "run").mkdir()
    assert fer("pack", "cleaned", "pack").lines == ["next: fer train pack run-2"]
    # Without an output path, the next command has none either.
    shown = fer("import", "a.csv").lines[-1]
    assert re.search(r"next: fer clean artifacts/import-a-[0-9a-f]{6}$", shown), shown
    # Nothing can be trained on a test set.
    fer("import", "a.csv", "all", "--split", "test")
    assert "next: " not in fer("pack", "all", "test-pack").err
    report = fer("clean", "faces", "report", "--report-only").lines[-1]
    assert report.endswith("next: fer clean faces cleaned")


def test_no_next_command_for_unlabelled_datasets(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.png").write_bytes(b"")
    from tests.helpers.datasets import encoded

    (tmp_path / "raw" / "a.png").write_bytes(encoded(photograph((30, 10, 100))))
    unlabelled = fercli.detect(tmp_path / "raw", tmp_path / "faces")
    assert next_step(unlabelled) is None
    labelled = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1)})
    assert next_step(labelled) is not None


def test_shell_quoting() -> None:
    assert [shell_word(w) for w in ("a", "a b", "it's", "a\nb", "ä")] == [
        "a",
        "'a b'",
        "'it'\"'\"'s'",
        "$'a\\x0ab'",
        "'ä'",
    ]
    assert shell_word(Path("-x")) == "./-x"
