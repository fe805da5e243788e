"""Tracking: failures, positions, and what trackers are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from fercli.artifacts import Artifact, artifact_input, input_of
from fercli.errors import UsageError
from fercli.trackers.base import Position, TrackedRun
from fercli.trackers.table import Target
from fercli.trackers.tracking import (
    FILE,
    Tracking,
    check_outside,
    describe_run,
    flatten,
    pictures_of,
    read_positions,
)
from tests.helpers.packs import make_pack
from tests.helpers.progress import Log
from tests.helpers.trackers import FAILING, RECORDING, Recording

RUN = TrackedRun("run", {}, "")


@pytest.fixture(autouse=True)
def forget() -> None:
    """Forget recorded calls."""
    Recording.calls.clear()


def go(folder: Path, *targets: Target, epochs: int = 3) -> list[str]:
    """Track a run and return the log."""
    log = Log()
    with Tracking(targets, log) as tracking:
        tracking.begin(folder, RUN)
        for epoch in range(1, epochs + 1):
            tracking.log_epoch({"epoch": epoch, "train_loss": 1.0})
        tracking.log_results({"a": 1.0}, {}, {})
    return log.lines


@pytest.mark.parametrize("method", ["begin", "log_epoch", "log_summary", "end"])
def test_a_failing_tracker_is_dropped_with_one_warning(method: str, tmp_path: Path) -> None:
    lines = go(tmp_path, Target(FAILING, method), Target(RECORDING, "good"))
    assert len(lines) == 1
    assert lines[0].startswith(f"--track {FAILING}: failed, and gets nothing more of this run (ConnectionError: ")
    assert "secret" not in lines[0]
    names = [call[0] for call in Recording.calls["good"]]
    assert names == ["begin", "epoch", "epoch", "epoch", "summary", "end"]
    noted = read_positions(tmp_path)
    assert noted[RECORDING] == Position("number 1", 3)
    if method == "log_epoch":  # a resumed training tells it the others
        assert noted[FAILING].epoch == 1


def test_positions_of_other_trackers_are_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"mlflow": {"id": "abc", "epoch": 2}}')
    go(tmp_path, Target(RECORDING))
    assert read_positions(tmp_path) == {"mlflow": Position("abc", 2), RECORDING: Position("number 1", 3)}


def test_untracked_runs_have_no_file(tmp_path: Path) -> None:
    assert go(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"id": "x", "epoch": "?"}}', "\xff"])
def test_damaged_positions(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    assert read_positions(tmp_path) == {}


def test_a_full_disk_is_for_the_training_to_report(tmp_path: Path) -> None:
    (tmp_path / f".{FILE}.new").mkdir()  # the note cannot be written
    assert go(tmp_path, Target(RECORDING)) == []
    assert not (tmp_path / FILE).exists()


def test_a_description_names_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    pack = make_pack(tmp_path / "my pack", inputs=[input_of("source", tmp_path / "photos", "raw", "ab" * 32)])
    run = describe_run("run", {"note": f"{tmp_path}/x"}, [artifact_input("pack", pack)])
    assert run.config["note"] == "~/x"
    assert run.config["input.pack"] == f"my pack {pack.manifest.digest[:12]}"
    assert run.lineage == f"- pack my pack, `{pack.manifest.digest[:12]}`\n  - raw photos, `abababababab`\n"
    assert str(tmp_path) not in str(run)


def test_flatten() -> None:
    nested = {"a": 1, "b": None, "c": [1, 2], "phase": [{"lr": 0.1}, {"lr": 0.2, "freeze": ["x"]}], "d": {"e": True}}
    flat = {"a": 1, "c": "1, 2", "phase.1.lr": 0.1, "phase.2.lr": 0.2, "phase.2.freeze": "x", "d.e": True}
    assert flatten(nested) == flat


def test_trackers_do_not_write_into_the_run(tmp_path: Path) -> None:
    for where in (tmp_path / "run" / "logs", tmp_path / "run", f"sqlite:///{tmp_path}/run/x.db"):
        with pytest.raises(UsageError, match="would write into the run"):
            check_outside([Target("tensorboard", str(where))], tmp_path / "run")
    check_outside(
        [Target("tensorboard", str(tmp_path)), Target("mlflow", "http://run/x"), Target("wandb")], tmp_path / "run"
    )


def test_pictures(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack")
    (pack.path / "confusion.png").write_bytes(b"png")
    assert pictures_of(Artifact(pack.path, pack.manifest)) == {"confusion": b"png"}
