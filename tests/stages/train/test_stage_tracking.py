"""`fer train --track`: what trackers are told about a training, and that they do not change it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fercli.artifacts import Artifact
from fercli.errors import UsageError
from fercli.stages.train.config import TrainConfig
from fercli.stages.train_epochs import COLUMNS
from fercli.verification import verify
from tests.helpers.progress import Log
from tests.helpers.trackers import FAILING, RECORDING, Recording
from tests.helpers.training import Listener, go, table

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def forget() -> None:
    """Forget recorded calls."""
    Recording.calls.clear()


def calls(kind: str) -> list[tuple[object, ...]]:
    return [call[1:] for call in Recording.calls[""] if call[0] == kind]


def test_trackers_get_every_column_and_the_results(pack: Artifact, tmp_path: Path) -> None:
    run = go(pack, tmp_path / "my-run", track=[RECORDING])
    rows = table(run)
    assert [call[0] for call in calls("epoch")] == [1, 2]
    for (_, metrics), row in zip(calls("epoch"), rows, strict=True):
        assert set(metrics) >= set(COLUMNS) - {"epoch"}  # type: ignore[call-overload]
        for name in set(COLUMNS) - {"epoch"}:
            assert metrics[name] == pytest.approx(row[name]), name  # type: ignore[index]
    ((told, position),) = calls("begin")
    assert position is None
    assert told.name == "my-run"  # type: ignore[attr-defined]
    assert told.config["epochs"] == 2  # type: ignore[attr-defined]
    assert "track" not in told.config  # type: ignore[attr-defined]
    ((summary,),) = calls("summary")
    assert summary["best_validation_accuracy"] == run.summary["validation"]["accuracy"]  # type: ignore[index]
    assert calls("picture") == [("curves", (run.path / "curves.png").read_bytes())]
    ((name, card),) = calls("text")
    assert name == "card"
    assert str(card).startswith("# my-run\n")
    assert calls("end") == [("finished",)]


def test_a_tracked_run_is_the_same(pack: Artifact, tmp_path: Path) -> None:
    plain, tracked = go(pack, tmp_path / "plain"), go(pack, tmp_path / "tracked", track=[RECORDING])
    assert tracked.manifest.key == plain.manifest.key
    assert tracked.manifest.digest == plain.manifest.digest
    assert tracked.manifest.options == plain.manifest.options
    assert (tracked.path / "config.json").read_bytes() == (plain.path / "config.json").read_bytes()
    assert {p.name for p in tracked.path.iterdir()} - {p.name for p in plain.path.iterdir()} == {"tracking.json"}
    assert verify(tracked) == []
    log = Log()
    assert go(pack, tmp_path / "plain", log, track=[RECORDING]).up_to_date
    assert log.lines == ["--track: the run is complete already; trackers are told about trainings only"]


def test_an_interrupted_training_is_continued(pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=7), epochs=3, track=[RECORDING])
    assert calls("end") == [("interrupted",)]
    go(pack, tmp_path / "run", epochs=3, track=[RECORDING])
    assert [call[0] for call in calls("epoch")] == [1, 2, 3]
    assert calls("begin")[1][1].epoch == 1  # type: ignore[attr-defined]
    assert calls("end") == [("interrupted",), ("finished",)]
    assert json.loads((tmp_path / "run" / "tracking.json").read_text())[RECORDING] == {"id": "number 1", "epoch": 3}


@pytest.mark.parametrize("method", ["begin", "log_epoch", "end"])
def test_a_failing_tracker_does_not_end_the_training(method: str, pack: Artifact, tmp_path: Path) -> None:
    log = Log()
    run = go(pack, tmp_path / "run", log, track=[f"{FAILING}={method}"])
    assert run.summary["epochs"] == 2
    assert len([line for line in log.lines if line.startswith(f"--track {FAILING}: failed")]) == 1


def test_wrong_trackers_are_refused_before_training(pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tracker 'tensorbord'; did you mean tensorboard"):
        TrainConfig.of(track=["tensorbord"])
    with pytest.raises(UsageError, match="would write into the run"):
        go(pack, tmp_path / "run", track=[f"tensorboard={tmp_path}/run/logs"])
    assert not (tmp_path / "run").exists()


def test_one_tracker_needs_no_list() -> None:
    assert TrainConfig.of(track="tensorboard").track == ("tensorboard",)
