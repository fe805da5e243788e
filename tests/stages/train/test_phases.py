"""Training in several phases: starting point, settings, end and resuming of each phase."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fercli.artifacts import Artifact
from fercli.errors import UsageError
from fercli.models.checkpoints import load_checkpoint
from fercli.models.registry import find_model
from fercli.stages import train_epochs, train_options
from fercli.stages.train.config import TrainConfig
from fercli.training.loop import Trainer
from tests.helpers.crashes import PHASE_PLACES, train_and_die
from tests.helpers.packs import QUICK
from tests.helpers.training import Listener, go, table

WEIGHTS = "model.safetensors"
STILL = "lr=1e-12,optimizer=sgd,schedule=constant,weight-decay=0,ema=0,momentum=0,nesterov=false,freeze=norms"
"""A phase that does not change the weights."""

pytestmark = pytest.mark.usefixtures("one_thread")


def fake_validation(monkeypatch: pytest.MonkeyPatch, accuracies: list[float]) -> None:
    """Make validation return these accuracies, one per epoch."""
    values = iter(accuracies)

    def validate(*arguments: Any) -> dict[str, float]:
        accuracy = next(values)
        return {"validation_loss": 1.0, "validation_accuracy": accuracy, "validation_macro_f1": accuracy}

    monkeypatch.setattr(train_epochs, "validate", validate)


def assert_same(found: Artifact, wanted: Artifact) -> None:
    files = [f"{part}/{name}" for part in ("best", "last") for name in (WEIGHTS, "model.json")]
    for name in files:
        assert (found.path / name).read_bytes() == (wanted.path / name).read_bytes(), name
    rows = [
        [{k: v for k, v in row.items() if k != "images_per_second"} for row in table(run)] for run in (found, wanted)
    ]
    assert rows[0] == rows[1]
    assert found.manifest.digest == wanted.manifest.digest
    assert sorted(p.name for p in found.path.iterdir()) == sorted(p.name for p in wanted.path.iterdir())


# --- start of a phase ---


@pytest.mark.slow
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_phase_starts_from_the_best_epoch(
    ema: float, pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_validation(monkeypatch, [0.2, 0.9, 0.3, 0.1, 0.1])
    listener = Listener()
    run = go(pack, tmp_path / "run", listener, epochs=3, ema=ema, phase=[f"epochs=2,{STILL}"])
    assert run.summary["best_epoch"] == 2
    best, last = (load_file(run.path / part / WEIGHTS) for part in ("best", "last"))
    assert load_checkpoint(run.path / "last").metadata.epoch == 5
    for name, tensor in best.items():
        torch.testing.assert_close(last[name], tensor, rtol=0, atol=1e-9)
    assert any(line.startswith("phase 2/2, from epoch 2: epochs=2,") for line in listener.lines)


@pytest.mark.slow
def test_best_epoch_can_be_in_a_later_phase(pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_validation(monkeypatch, [0.5, 0.2, 0.7, 0.6, 0.9])
    run = go(pack, tmp_path / "run", epochs=2, phase=["epochs=2,lr=0.01", "epochs=1,optimizer=adam,lr=0.001"])
    assert run.summary["best_epoch"] == load_checkpoint(run.path).metadata.epoch == 5
    assert run.summary["selection"] == "best of 5 epochs by validation accuracy"
    assert run.summary["epochs"] == 5
    assert [row["epoch"] for row in table(run)] == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_learning_rate_and_schedule_per_phase(pack: Artifact, tmp_path: Path) -> None:
    phases = ["epochs=2,lr=0.01,schedule=step,step-size=1,gamma=0.5", "lr=0.001,schedule=constant"]
    run = go(pack, tmp_path / "run", epochs=1, lr=0.1, schedule="constant", phase=phases)
    assert [row["learning_rate"] for row in table(run)] == pytest.approx([0.1, 0.01, 0.005, 0.001, 0.001])


@pytest.mark.slow
def test_optimiser_sizes_and_batches_per_phase(pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int, int, int]] = []
    plain = Trainer.loss

    def listen(self: Trainer, x: torch.Tensor, targets: torch.Tensor) -> Any:
        seen.append((type(self.optimizer).__name__, self.phase, len(x), x.shape[-1]))
        return plain(self, x, targets)

    monkeypatch.setattr(Trainer, "loss", listen)
    phases = [
        "optimizer=adam,lr=0.001,batch-size=14,progressive-sizes=16=0.5,20=0.5",
        "optimizer=ranger-adabelief,epochs=1,progressive-sizes=",
    ]
    go(
        pack,
        tmp_path / "run",
        epochs=2,
        batch_size=28,
        optimizer="muon",
        progressive_sizes="12=0.5,16=0.5",
        phase=phases,
    )
    assert seen == [
        ("Muon", 0, 28, 12),
        ("Muon", 0, 28, 16),
        *[("Adam", 1, 14, 16)] * 2,
        *[("Adam", 1, 14, 20)] * 2,
        *[("RangerAdaBelief", 2, 14, 16)] * 2,
    ]


@pytest.mark.slow
def test_unfreezing_in_a_later_phase(pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_validation(monkeypatch, [0.9, 0.1, 0.1])
    options = {"lr": 0.01, "ema": 0.0, "schedule": "constant"}
    states = {}
    for name, phases in (
        ("frozen", ["epochs=1,freeze=backbone"]),
        ("frozen, then not", ["epochs=1,freeze=backbone", "freeze="]),
    ):
        run = go(pack, tmp_path / name, epochs=1, phase=phases, **options)
        states[name] = [load_file(run.path / part / WEIGHTS) for part in ("best", "last")]
        fake_validation(monkeypatch, [0.9, 0.1, 0.1])
    for name, (best, last) in states.items():
        changed = {key.split(".")[0] for key in best if not torch.equal(best[key], last[key])}
        assert changed == ({"classifier"} if name == "frozen" else {"stem", "stages", "classifier"})


# --- end of a phase ---


@pytest.mark.slow
def test_patience_is_per_phase(pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first phase ends after its third epoch; the second, which is never as good, counts from its own best, epoch 5.
    fake_validation(monkeypatch, [0.9, 0.1, 0.1, 0.2, 0.3, 0.1, 0.1, 0.4])
    listener = Listener()
    run = go(pack, tmp_path / "run", listener, epochs=10, patience=2, phase=["epochs=6,lr=0.01", "epochs=1"])
    assert run.summary["epochs"] == 8
    assert run.summary["best_epoch"] == 1
    faces = 28
    assert listener.totals == [17 * faces, 10 * faces, 8 * faces]
    epochs = [line.split(":")[0] for line in listener.lines if line.startswith("epoch ")]
    assert epochs == ["epoch 1/17", "epoch 2/17", "epoch 3/17", *[f"epoch {n}/10" for n in (4, 5, 6, 7)], "epoch 8/8"]
    assert listener.notes[0] == "epoch 1/17"
    assert listener.notes[-1] == "epoch 8/8"
    assert [line for line in listener.lines if line.startswith("phase ")] == [
        "phase 2/3, from epoch 1: epochs=6,lr=0.01",
        "phase 3/3, from epoch 1: epochs=1",
    ]


# --- contents of a run ---


@pytest.mark.slow
def test_run_records_its_settings(pack: Artifact, tmp_path: Path) -> None:
    phases = ["epochs=1,lr=0.001,freeze=backbone,norms"]
    run = go(pack, tmp_path / "run", epochs=1, phase=phases, mixup=0.3, l1=1e-6)
    config = json.loads((run.path / "config.json").read_text())
    assert config["phase"] == run.manifest.options["phase"]
    assert config["phase"] == [{"epochs": 1, "lr": 0.001, "freeze": ["backbone", "norms"]}]
    assert (config["mixup"], config["l1"], config["snapshots"], config["dropout"]) == (0.3, 1e-6, [], None)
    assert TrainConfig.of(**config).phases[1].freeze == {"backbone", "norms"}
    assert go(pack, tmp_path / "run", epochs=1, phase=phases, mixup=0.3, l1=1e-6).up_to_date
    assert (run.path / "curves.png").stat().st_size > 1000


# --- recipes and calls ---


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A recipe with two phases."""
    settings: dict[str, Any] = {"epochs": 6, "lr": 0.1, "batch_size": 8, "snapshots": "7"}
    settings["phase"] = [{"epochs": 3, "lr": 0.01}]
    monkeypatch.setattr("fercli.stages.train_options.recipe_settings", lambda file: dict(settings))
    return settings


def test_flags_set_the_first_phase_and_unset_options_of_later_ones(recipe: dict[str, Any]) -> None:
    config = TrainConfig.of(epochs=2, batch_size=16)
    assert [(s.epochs, s.lr, s.batch_size) for s in config.phases] == [(2, 0.1, 16), (3, 0.01, 16)]
    assert config.snapshots == frozenset()  # they refer to the recipe's epochs
    assert TrainConfig.of(batch_size=16).snapshots == {7}
    assert TrainConfig.of(epochs=2, snapshots="5").snapshots == {5}


def test_none_removes_the_phases_of_the_recipe(recipe: dict[str, Any]) -> None:
    config = TrainConfig.of(phase=["none"], snapshots="none")
    assert [s.epochs for s in config.phases] == [6]
    assert [s.lr for s in TrainConfig.of(phase=["lr=0.05"]).phases] == [0.1, 0.05]
    assert TrainConfig.of(phase=["none"], epochs=2).phase == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phase": ["epochs=abc"]}, "train: phase: phase 2: epochs: input should be a valid integer"),
        ({"phase": ["nosuch=1"]}, "train: phase: phase 2: no option 'nosuch'"),
        ({"snapshots": "3", "epochs": 2}, "train: snapshots: epoch 3 is beyond the last one, 2"),
    ],
)
def test_errors_in_phases_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        TrainConfig.of(**options)
    assert str(error.value).startswith(message)


def test_reduced_models_have_short_later_phases() -> None:
    assert [s.epochs for s in TrainConfig.of(model="patt-lite", reduced=True, epochs=2).phases] == [2, 2]
    assert [s.epochs for s in TrainConfig.of(model="patt-lite", reduced=True, epochs=2, phase=["epochs=5"]).phases] == [
        2,
        5,
    ]
    whole = TrainConfig.of(model="patt-lite", epochs=2).phases
    assert whole[0].epochs == 2 < whole[1].epochs


@pytest.mark.parametrize("options", [{"freeze": "backbone"}, {"phase": ["freeze=backbone"]}])
def test_freezing_a_missing_backbone_is_an_error(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert TrainConfig.of(**options).phases
    without = replace(find_model("quick"), backbone=())
    monkeypatch.setattr(train_options, "find_declared", lambda _name: without)
    with pytest.raises(UsageError, match=r"^train: freeze: model quick has no backbone to freeze"):
        TrainConfig.of(**options)


def test_unsupported_later_phase_fails_before_the_first(pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dropout: the model has no dropout layers"):
        go(pack, tmp_path / "run", phase=["dropout=0.5"])
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / ".run.partial").exists()


# --- resuming ---

TWO = {
    "epochs": 2,
    "phase": ("epochs=2,lr=0.003,optimizer=ranger-adabelief,schedule=cyclic,cycle=1,mixup=1,freeze=norms",),
}


@pytest.fixture(scope="module")
def whole(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return go(pack, tmp_path_factory.mktemp("whole") / "run", **TWO)


@pytest.mark.slow
@pytest.mark.parametrize("place", PHASE_PLACES)
def test_resuming_after_a_kill_in_phase_2_is_exact(place: str, pack: Artifact, whole: Artifact, tmp_path: Path) -> None:
    options = {**QUICK, **TWO, "pack": pack.path, "out": tmp_path / "run"}
    assert train_and_die(place, options) == -signal.SIGKILL
    listener = Listener()
    run = go(pack, tmp_path / "run", listener, **TWO)
    done = {"in the second phase's second epoch": 3, "after the last epoch": 4}.get(place, 2)
    assert f"resuming from epoch {done}/4" in listener.lines
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 6))
def test_resuming_after_a_kill_before_saving_is_exact(
    count: int, pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every epoch is a new best: the starting point of the second phase is overwritten by its first epoch.
    rising = [0.1, 0.2, 0.3, 0.4]
    options = {**TWO, "ema": 0.5}
    fake_validation(monkeypatch, rising)
    wanted = go(pack, tmp_path / "whole", **options)
    plain, calls = train_epochs.save_training_state, iter(range(1, 100))

    def save(state: dict[str, Any], file: Path) -> None:
        if next(calls) == count:
            raise KeyboardInterrupt
        plain(state, file)

    monkeypatch.setattr(train_epochs, "save_training_state", save)
    fake_validation(monkeypatch, rising)
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", **options)
    saved = {1: 0, 2: 1, 3: 2, 4: 2, 5: 3}[count]  # the third save is at the start of the second phase
    fake_validation(monkeypatch, rising[saved:])
    assert_same(go(pack, tmp_path / "run", **options), wanted)
