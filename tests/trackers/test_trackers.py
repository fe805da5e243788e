"""What every tracker does, as seen by its library's own reader."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from fercli.trackers.base import TrackedRun
from fercli.trackers.table import TRACKERS, Target
from fercli.trackers.tracking import Tracking, read_positions
from tests.helpers.trackers import PIXEL, READERS, Record

MODULES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
RUN = TrackedRun("my run", {"lr": 0.1, "model": "quick", "flip": True}, "- pack faces, `0123456789ab`\n")
EPOCHS = [
    {"epoch": float(n), "train_loss": 1 / n, "validation_accuracy": n / 10, "learning_rate": 0.1} for n in range(1, 5)
]


@pytest.fixture(params=[spec.name for spec in TRACKERS])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Each tracker whose library is installed, with a store of its own."""
    if find_spec(MODULES[request.param]) is None:
        pytest.skip(f"{request.param} is not installed")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    return Target(request.param, str(tmp_path / ("store.db" if request.param == "mlflow" else "store")))


def track(target: Target, epochs: slice, error: BaseException | None = None, results: bool = False) -> None:
    """Track some epochs of the run, as one call of a training."""
    with Tracking([target]) as tracking:
        tracking.begin(Path("run"), RUN)
        for metrics in EPOCHS[epochs]:
            tracking.log_epoch(metrics)
        if error is not None:
            raise error
        if results:
            tracking.log_results(
                {"best_epoch": 4}, {"curves": PIXEL, "test/confusion": PIXEL}, {"card": "# <A card>\n"}
            )


def stored(target: Target) -> Record:
    """Return what the tracker's store has of the run."""
    return READERS[target.name](Path(target.where or ""), read_positions(Path("run"))[target.name])


def expected(name: str, count: int = 4) -> list[tuple[int, float]]:
    return [(int(metrics["epoch"]), pytest.approx(metrics[name])) for metrics in EPOCHS[:count]]


def assert_each_epoch_once(found: Record, count: int = 4) -> None:
    for name in ("train_loss", "validation_accuracy", "learning_rate"):
        assert found.scalars[name] == expected(name, count), name


def test_every_tracker_has_a_reader() -> None:
    assert set(READERS) == set(MODULES) == {spec.name for spec in TRACKERS}


@pytest.mark.slow
def test_a_whole_run(target: Target) -> None:
    track(target, slice(4), results=True)
    found = stored(target)
    assert_each_epoch_once(found)
    assert found.status == "finished"
    assert found.config.items() >= {"lr": "0.1", "model": "quick", "flip": "True"}.items()
    assert found.pictures == {"curves", "test/confusion"}
    assert "A card" in found.texts["card"]
    assert found.texts["lineage"] == RUN.lineage
    assert [value for _, value in found.scalars["best_epoch"]] == [4]


@pytest.mark.slow
def test_a_resumed_run_has_each_epoch_once(target: Target) -> None:
    with pytest.raises(KeyboardInterrupt):
        track(target, slice(2), KeyboardInterrupt())
    before = read_positions(Path("run"))
    assert before[target.name].epoch == 2
    assert stored(target).status == "interrupted"
    track(target, slice(4), results=True)  # a resumed training reports all epochs
    assert read_positions(Path("run"))[target.name].id == before[target.name].id
    found = stored(target)
    assert_each_epoch_once(found)
    assert found.status == "finished"


@pytest.mark.slow
def test_an_epoch_that_was_not_noted_is_not_repeated(target: Target) -> None:
    track(target, slice(2))
    noted = Path("run/tracking.json").read_text()
    track(target, slice(3))
    Path("run/tracking.json").write_text(noted)  # as if killed between the tracker's write and the note
    track(target, slice(4))
    assert_each_epoch_once(stored(target))


@pytest.mark.slow
def test_a_failed_run_is_marked(target: Target) -> None:
    with pytest.raises(ValueError, match="diverged"):
        track(target, slice(1), ValueError("diverged"))
    assert stored(target).status == "failed"
    assert_each_epoch_once(stored(target), 1)


@pytest.mark.slow
def test_an_evaluation_is_added(target: Target) -> None:
    track(target, slice(4), results=True)
    noted = Path("run/tracking.json").read_text()
    for _ in range(2):
        with Tracking([target]) as tracking:
            tracking.begin(Path("run"), RUN, complete=True)
            tracking.log_results({"test_accuracy": 0.5}, {"test/roc": PIXEL}, {})
    assert Path("run/tracking.json").read_text() == noted
    found = stored(target)
    assert_each_epoch_once(found)
    assert found.status == "finished"
    assert found.pictures == {"curves", "test/confusion", "test/roc"}
    assert {value for _, value in found.scalars["test_accuracy"]} == {0.5}


@pytest.mark.slow
def test_two_trainings_of_one_name_are_two_runs(target: Target) -> None:
    track(target, slice(2))
    first = read_positions(Path("run"))[target.name]
    Path("run/tracking.json").unlink()
    track(target, slice(1))
    second = read_positions(Path("run"))[target.name]
    assert second.id != first.id
    assert_each_epoch_once(stored(target), 1)
    assert_each_epoch_once(READERS[target.name](Path(target.where or ""), first), 2)


@pytest.mark.slow
def test_a_store_without_the_run_gets_all_of_it(target: Target, tmp_path: Path) -> None:
    if target.name == "wandb":
        pytest.skip("offline it cannot know")
    track(target, slice(2))
    other = Target(target.name, str(tmp_path / "other.db"))
    track(other, slice(3))
    assert_each_epoch_once(stored(other), 3)


@pytest.mark.slow
def test_no_secrets(target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the environment, the machine or the command line is stored."""
    monkeypatch.setenv("MY_SECRET_TOKEN", "a-secret-value")
    monkeypatch.setattr("sys.argv", ["fer", "a-secret-argument"])
    track(target, slice(1), results=True)
    stored(target)  # waits until all is written
    text = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".log")
    assert b"my run" in text
    for secret in (b"a-secret-value", b"a-secret-argument"):
        assert secret not in text
