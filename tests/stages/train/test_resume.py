"""Resuming killed or interrupted trainings gives bit-identical results."""

from __future__ import annotations

import csv
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact
from fercli.errors import DataError, FerError
from fercli.packs import loading
from fercli.progress import Progress
from tests.helpers import training
from tests.helpers.crashes import PLACES, train_and_die
from tests.helpers.datasets import python
from tests.helpers.packs import QUICK
from tests.helpers.shards import make_sharded
from tests.helpers.training import Listener

OPTIONS = {**QUICK, "epochs": 3}
FILES = [f"{part}/{name}" for part in ("best", "last") for name in ("model.safetensors", "model.json")]
go = partial(training.go, epochs=3)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def whole(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The uninterrupted run."""
    return go(pack, tmp_path_factory.mktemp("whole") / "run", Listener())


def assert_same(found: Artifact, wanted: Artifact) -> None:
    for name in FILES:
        assert (found.path / name).read_bytes() == (wanted.path / name).read_bytes(), name
    assert found.manifest.digest == wanted.manifest.digest
    assert found.manifest.key == wanted.manifest.key
    rows = []
    for run in (found, wanted):
        with (run.path / "metrics.csv").open(newline="") as file:
            rows.append([{k: v for k, v in row.items() if k != "images_per_second"} for row in csv.DictReader(file)])
    assert rows[0] == rows[1]
    assert sorted(p.name for p in found.path.iterdir()) == sorted(p.name for p in wanted.path.iterdir())
    assert not (found.path.parent / f".{found.path.name}.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_resuming_after_a_kill_is_exact(place: str, pack: Artifact, whole: Artifact, tmp_path: Path) -> None:
    options = {**OPTIONS, "pack": pack.path, "out": tmp_path / "run"}
    assert train_and_die(place, options) == -signal.SIGKILL
    assert not (tmp_path / "run").exists()
    assert (tmp_path / ".run.partial").is_dir()
    listener = Listener()
    run = go(pack, tmp_path / "run", listener)
    done = {
        "in the second epoch": 1,
        "while saving the state": 1,
        "after the last epoch": 3,
        "while finishing": 3,
    }.get(place)
    assert listener.resumed == ([f"resuming from epoch {done}/3"] if done else [])
    assert_same(run, whole)


@pytest.mark.slow
def test_resuming_after_interrupts_is_exact(pack: Artifact, whole: Artifact, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=7))
    assert not (tmp_path / "run").exists()
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=7))
    listener = Listener()
    run = go(pack, tmp_path / "run", listener)
    assert len(listener.resumed) == 1
    assert_same(run, whole)
    assert go(pack, tmp_path / "run", Listener()).up_to_date


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam", "schedule": "plateau", "plateau_patience": 0, "lr": 0.01, "ema": 0.0},
        {"optimizer": "rmsprop", "schedule": "step", "step_size": 1, "lr": 0.001, "clip_norm": 1.0},
        {"optimizer": "radam", "schedule": "cosine", "lr": 0.01, "erasing": 0.5},
    ],
    ids=lambda options: options["schedule"],
)
def test_resuming_every_schedule_is_exact(options: dict[str, Any], pack: Artifact, tmp_path: Path) -> None:
    wanted = go(pack, tmp_path / "whole", Listener(), **options)
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=11), **options)
    listener = Listener()
    run = go(pack, tmp_path / "run", listener, **options)
    assert len(listener.resumed) == 1
    assert_same(run, wanted)


@pytest.mark.slow
def test_other_options_start_over(pack: Artifact, whole: Artifact, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=11), seed=5)
    listener = Listener()
    run = go(pack, tmp_path / "run", listener)
    assert listener.resumed == []
    assert_same(run, whole)


@pytest.mark.slow
def test_broken_state_is_an_error(pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=11))
    state = tmp_path / ".run.partial" / "resume" / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(FerError, match=r"state\.pt: cannot be read; remove the folder .*\.run\.partial to start over"):
        go(pack, tmp_path / "run", Listener())


@pytest.mark.slow
def test_concurrent_calls_are_rejected(pack: Artifact, tmp_path: Path) -> None:
    class Second(Progress):
        def log(self, message: str) -> None:
            with pytest.raises(DataError, match="is being written by another call"):
                go(pack, tmp_path / "run", Listener())

    assert not go(pack, tmp_path / "run", Second()).up_to_date


SLOW_TRAINING = """
import pathlib, sys, time
from fercli.cli.main import main
from fercli.stages import train_epochs as stage
mark, epoch = pathlib.Path(sys.argv.pop(1)), stage.Trainer.train_epoch
def slow(self, advance):
    if self.epoch == 1:
        mark.touch()
        time.sleep(60)
    return epoch(self, advance)
stage.Trainer.train_epoch = slow
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("ignored", [False, True], ids=["SIGINT", "SIGTERM where the shell ignores SIGINT"])
def test_signals_end_the_command_with_130(ignored: bool, pack: Artifact, whole: Artifact, tmp_path: Path) -> None:
    # A shell without job control starts background jobs with SIGINT ignored: SIGTERM has to end them too.
    code = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{SLOW_TRAINING}" if ignored else SLOW_TRAINING
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    mark = tmp_path / "mark"
    process = python(code, mark, "train", pack.path, tmp_path / "run", *flags)
    until = time.monotonic() + 120
    while not mark.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM if ignored else signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == (
        "fer train: interrupted; repeat the call with the same options (long stages resume)"
    )
    listener = Listener()
    run = go(pack, tmp_path / "run", listener)
    assert listener.resumed == ["resuming from epoch 1/3"]
    assert_same(run, whole)


# --- packs that are read from the disk ---


@pytest.mark.slow
def test_resuming_keeps_the_order_whatever_memory_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order in windows was chosen when the run began; by then there is memory for a uniform one."""
    pack = make_sharded(tmp_path)
    free = loading.free_memory

    def read_from_disk() -> None:
        monkeypatch.setattr(loading, "free_memory", lambda device: 0)
        monkeypatch.setattr(loading, "WINDOW_BYTES", 10 * 16 * 16)
        monkeypatch.setattr(loading, "BLOCKS", 3)

    read_from_disk()
    listener = Listener()
    whole = go(pack, tmp_path / "whole", listener)
    assert any("faces read from the disk, shuffled in windows of 10" in line for line in listener.lines)
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=5))
    monkeypatch.setattr(loading, "free_memory", free)
    listener = Listener()
    run = go(pack, tmp_path / "run", listener)
    assert len(listener.resumed) == 1
    assert_same(run, whole)
    uniform = go(pack, tmp_path / "uniform", Listener())
    assert uniform.manifest.digest != whole.manifest.digest
