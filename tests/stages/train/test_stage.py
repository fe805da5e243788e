"""`fer train`: contents of a run, selection of the best epoch, and splits that are never read."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from fercli.artifacts import Artifact, open_artifact
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, DeviceMemoryError, FerError, UsageError
from fercli.metrics.calibration import fit_temperature
from fercli.metrics.intervals import wilson_interval
from fercli.models.checkpoints import load_checkpoint
from fercli.models.inference import predict
from fercli.models.pretrained import weights_digest
from fercli.models.registry import find_model
from fercli.packs.file import PackInfo, read_split, stored_images
from fercli.packs.opening import open_pack
from fercli.packs.stored import StoredImages
from fercli.progress import Progress
from fercli.recipes import load_recipe
from fercli.stages import train_epochs, train_setup
from fercli.stages.train.config import TrainConfig
from fercli.stages.train.stage import train
from fercli.stages.train_epochs import COLUMNS
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.training import go, table

WEIGHTS = "best/model.safetensors"


@pytest.fixture(scope="module")
def run(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A run of three epochs that tests only read."""
    return go(pack, tmp_path_factory.mktemp("run") / "run", epochs=3)


def fake_validation(
    monkeypatch: pytest.MonkeyPatch, accuracies: list[float], losses: list[float] | None = None
) -> None:
    """Make validation return these metrics, one per epoch."""
    metrics = iter(zip(accuracies, losses or [1.0] * len(accuracies), strict=True))

    def validate(*arguments: Any) -> dict[str, float]:
        accuracy, loss = next(metrics)
        return {"validation_loss": loss, "validation_accuracy": accuracy, "validation_macro_f1": 1 - accuracy}

    monkeypatch.setattr(train_epochs, "validate", validate)


# --- contents of a run ---


@pytest.mark.slow
@pytest.mark.parametrize("name", ["best", "last"])
def test_temperature_is_fitted_on_validation(run: Artifact, pack: Artifact, name: str) -> None:
    checkpoint = load_checkpoint(run.path / name)
    faces = read_split(open_pack(pack), "validation")
    images = torch.from_numpy(faces.images)[:, None]
    raw = predict(checkpoint.model, images, checkpoint.metadata.preprocessing, device=torch.device("cpu")).numpy()
    expected = fit_temperature(raw, faces.labels.astype(np.int64))
    assert checkpoint.metadata.temperature == pytest.approx(expected, rel=1e-4)
    assert checkpoint.metadata.temperature != 1


@pytest.mark.slow
def test_files_of_a_run(run: Artifact, pack: Artifact) -> None:
    found = {p.relative_to(run.path).as_posix() for p in run.path.rglob("*") if p.is_file()}
    checkpoints = {f"{p}/{n}" for p in ("best", "last") for n in ("artifact.json", "model.json", "model.safetensors")}
    others = {"artifact.json", "config.json", "curves.png", "metrics.csv", "training_sha256.npy"}
    assert found == checkpoints | others
    manifest = open_artifact(run.path, "run").manifest
    assert manifest.emotions == list(EMOTIONS)
    assert set(manifest.counts) == {"train", "validation"}
    assert [(i.name, i.digest) for i in manifest.inputs] == [("pack", pack.manifest.digest)]
    assert manifest.seed == 0
    digests = np.load(run.path / "training_sha256.npy")
    assert np.array_equal(digests, read_split(open_pack(pack), "train").sha256)
    config = json.loads((run.path / "config.json").read_text())
    assert config["model"] == "quick"
    assert config["lr"] == load_recipe("quick").train.lr
    assert json.loads((run.path / "best" / "model.json").read_text())["gradcam"] == find_model("quick").gradcam


@pytest.mark.slow
def test_metrics_csv(run: Artifact) -> None:
    rows = table(run)
    with (run.path / "metrics.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert (
        tuple(header)
        == COLUMNS
        == (
            "epoch",
            "train_loss",
            "train_accuracy",
            "train_macro_f1",
            "validation_loss",
            "validation_accuracy",
            "validation_macro_f1",
            "learning_rate",
            "images_per_second",
        )
    )
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert all(0 <= row[name] <= 1 for row in rows for name in header if name.endswith(("accuracy", "f1")))


@pytest.mark.slow
def test_summary(run: Artifact, pack: Artifact) -> None:
    summary, rows = run.summary, table(run)
    accuracies = [row["validation_accuracy"] for row in rows]
    best = int(np.argmax(accuracies))
    assert summary["model"] == "quick"
    assert summary["parameters"] == find_model("quick").parameters
    assert summary["epochs"] == 3
    assert summary["best_epoch"] == best + 1
    assert summary["selection"] == "best of 3 epochs by validation accuracy"
    assert summary["validation"] == {
        "n": 14,
        "accuracy": accuracies[best],
        "accuracy_interval": list(wilson_interval(round(accuracies[best] * 14), 14)),
        "macro_f1": rows[best]["validation_macro_f1"],
        "averaged_over": 7,
        "loss": rows[best]["validation_loss"],
    }
    assert summary["weights"] == {}
    assert summary["snapshots"] == []
    assert summary["precision"] == "float32"


@pytest.mark.slow
def test_checkpoints_match_the_metrics(run: Artifact, pack: Artifact) -> None:
    rows, faces = table(run), read_split(open_pack(pack), "validation")
    images = torch.from_numpy(faces.images).unsqueeze(1)
    for part, epoch in (("best", run.summary["best_epoch"]), ("last", 3)):
        checkpoint = load_checkpoint(run.path / part)
        assert checkpoint.metadata.epoch == epoch
        assert checkpoint.metadata.emotions == list(EMOTIONS)
        assert checkpoint.metadata.training_data == pack.manifest.digest
        assert checkpoint.metadata.preprocessing.input_size == 16
        probabilities = predict(checkpoint.model, images, checkpoint.metadata.preprocessing, device=torch.device("cpu"))
        accuracy = float((probabilities.argmax(1).numpy() == faces.labels).mean())
        assert accuracy == pytest.approx(rows[epoch - 1]["validation_accuracy"])
        assert accuracy == pytest.approx(checkpoint.metadata.validation["validation_accuracy"])


@pytest.mark.slow
def test_it_learns(pack: Artifact, tmp_path: Path) -> None:
    # The synthetic faces are easy to classify.
    options = {"optimizer": "adam", "lr": 3e-3, "schedule": "constant", "ema": 0.0, "flip": 0.0, "rotation": 0.0}
    run = go(pack, tmp_path / "run", epochs=12, **options)
    assert run.summary["validation"]["accuracy"] > 0.6


@pytest.mark.slow
def test_same_call_is_up_to_date_and_same_seed_same_weights(pack: Artifact, run: Artifact, tmp_path: Path) -> None:
    again = go(pack, run.path, epochs=3)
    assert again.up_to_date
    assert again.summary == run.summary
    other = go(pack, tmp_path / "other", epochs=3)
    assert (other.path / WEIGHTS).read_bytes() == (run.path / WEIGHTS).read_bytes()
    seeded = go(pack, tmp_path / "seeded", epochs=3, seed=1)
    assert (seeded.path / WEIGHTS).read_bytes() != (run.path / WEIGHTS).read_bytes()
    assert seeded.manifest.key != run.manifest.key
    with pytest.raises(DataError, match="a different run already exists"):
        go(pack, run.path, epochs=3, seed=1)


# --- selection ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("select", "best"),
    [("accuracy", 2), ("macro_f1", 1), ("loss", 4)],
)
def test_best_epoch_is_selected_on_validation(
    select: str, best: int, pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_validation(monkeypatch, [0.2, 0.5, 0.5, 0.4], [4.0, 3.0, 2.0, 1.0])  # ties: the first
    run = go(pack, tmp_path / "run", epochs=4, select=select)
    assert run.summary["best_epoch"] == best
    assert load_checkpoint(run.path).metadata.epoch == best
    assert load_checkpoint(run.path / "last").metadata.epoch == 4
    assert run.summary["validation"]["accuracy"] == [0.2, 0.5, 0.5, 0.4][best - 1]
    assert run.summary["selection"] == f"best of 4 epochs by validation {select}"


@pytest.mark.slow
def test_patience(pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_validation(monkeypatch, [0.2, 0.5, 0.5, 0.4, 0.9])
    run = go(pack, tmp_path / "run", epochs=5, patience=2)
    assert run.summary["epochs"] == 4
    assert run.summary["best_epoch"] == 2
    assert run.summary["selection"] == "best of 4 epochs by validation accuracy"
    assert len(table(run)) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({"schedule": "step", "step_size": 2, "gamma": 0.5}, [1, 1, 0.5, 0.5]),
        ({"schedule": "plateau", "plateau_patience": 0, "gamma": 0.1}, [1, 1, 0.1, 0.01]),
        ({"schedule": "constant"}, [1, 1, 1, 1]),
    ],
    ids=lambda value: value["schedule"] if isinstance(value, dict) else "",
)
def test_schedule_sets_the_learning_rate(
    options: dict[str, Any], factors: list[float], pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_validation(monkeypatch, [0.1] * 4, [1.0, 1.1, 1.2, 1.3])
    run = go(pack, tmp_path / "run", epochs=4, lr=0.01, **options)
    assert [row["learning_rate"] for row in table(run)] == pytest.approx([0.01 * factor for factor in factors])


# --- splits ---


@pytest.mark.slow
def test_test_split_is_never_read(
    pack: Artifact, run: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = h5py.Dataset.__getitem__

    def record(dataset: h5py.Dataset, *arguments: Any, **options: Any) -> Any:
        read.append(dataset.name)
        assert dataset.name not in ("/test/images", "/test/sha256", "/test/paths")
        return plain(dataset, *arguments, **options)

    def record_images(info: PackInfo, split: str) -> StoredImages:
        read.append(split)
        assert split in ("train", "validation")
        return stored_images(info, split)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", record)
    monkeypatch.setattr("fercli.packs.loading.stored_images", record_images)
    again = go(pack, tmp_path / "run", epochs=3)
    assert {"train", "validation", "/train/labels"} <= set(read)
    assert (again.path / WEIGHTS).read_bytes() == (run.path / WEIGHTS).read_bytes()


@pytest.mark.slow
def test_run_does_not_depend_on_the_test_split(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"train": 28, "validation": 14})
    again = go(pack, tmp_path / "run", epochs=3)
    assert (again.path / WEIGHTS).read_bytes() == (run.path / WEIGHTS).read_bytes()


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_missing_train_or_validation_is_an_error(missing: str, tmp_path: Path) -> None:
    counts = {split: 7 for split in ("train", "validation", "test") if split != missing}
    with pytest.raises(DataError, match=f"the pack has no {missing} split; train needs train and validation"):
        go(make_pack(tmp_path / "pack", counts), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_packs_with_other_emotions_and_color(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"train": 9, "validation": 6}, color="rgb", emotions=["sad", "happy", "angry"])
    run = go(pack, tmp_path / "run", epochs=1)
    assert load_checkpoint(run.path).metadata.emotions == ["sad", "happy", "angry"]


# --- pretrained weights ---


@pytest.mark.slow
def test_weights_of_a_run(pack: Artifact, run: Artifact, tmp_path: Path) -> None:
    still = {"epochs": 1, "optimizer": "sgd", "lr": 1e-12, "ema": 0.0, "schedule": "constant", "weight_decay": 0.0}
    given = load_file(run.path / WEIGHTS)
    for name in (run.path, run.path / "best", run.path / WEIGHTS):
        tuned = go(pack, tmp_path / f"tuned-{name.name}", weights=str(name), **still)
        found = load_file(tuned.path / WEIGHTS)
        assert all(torch.allclose(found[n], given[n], atol=1e-6) for n in given if n.endswith("weight"))
        nothing: dict[str, list[str]] = {"by_emotion": [], "new": [], "unused": [], "emotions": []}
        assert tuned.summary["weights"] == {"loaded": len(given), **nothing}
        weights = tuned.manifest.inputs[1]
        assert (weights.name, weights.digest) == ("weights", weights_digest(run.path / WEIGHTS))
    assert tuned.manifest.key != go(pack, tmp_path / "fresh", **still).manifest.key


@pytest.mark.slow
def test_weights_of_a_run_are_matched_by_emotion(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"train": 9, "validation": 6}, emotions=["sad", "happy", "angry"])
    tuned = go(pack, tmp_path / "tuned", epochs=1, weights=str(run.path))
    assert tuned.summary["weights"]["by_emotion"] == ["classifier.weight", "classifier.bias"]
    assert tuned.summary["weights"]["emotions"] == ["sad", "happy", "angry"]
    assert tuned.summary["weights"]["new"] == []


@pytest.mark.slow
def test_frozen_random_backbone_gives_a_warning(pack: Artifact, run: Artifact, tmp_path: Path) -> None:
    lines: list[str] = []

    class Recorder(Progress):
        def log(self, message: str) -> None:
            lines.append(message)

    frozen = {**QUICK, "pack": pack.path, "epochs": 1, "freeze": "backbone"}
    train(TrainConfig.of(**frozen, out=tmp_path / "frozen"), Recorder())
    assert any(
        line.startswith("the frozen backbone is randomly initialised; load pretrained weights (--weights FILE)")
        for line in lines
    )
    lines.clear()
    train(TrainConfig.of(**frozen, out=tmp_path / "pretrained", weights=str(run.path)), Recorder())
    assert not any("randomly initialised" in line for line in lines)


@pytest.mark.slow
def test_weights_of_other_classes_fit_except_for_the_head(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"train": 9, "validation": 6}, emotions=["sad", "happy", "angry"])
    shutil.copy(run.path / WEIGHTS, tmp_path / "alone.safetensors")  # without the metadata that names the emotions
    tuned = go(pack, tmp_path / "tuned", epochs=1, weights=str(tmp_path / "alone.safetensors"))
    assert tuned.summary["weights"]["new"] == ["classifier.weight", "classifier.bias"]
    assert sorted(tuned.summary["weights"]["unused"]) == ["classifier.bias", "classifier.weight"]


def test_unusable_weights_are_rejected(pack: Artifact, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="no tensor fits quick"):
        go(pack, tmp_path / "run", weights=str(tmp_path / "other.pt"))
    with pytest.raises(DataError, match=r"nowhere\.pt: no such weights file"):
        go(pack, tmp_path / "run", weights=str(tmp_path / "nowhere.pt"))
    with pytest.raises(DataError, match="is a pack; expected a checkpoint or run"):
        go(pack, tmp_path / "run", weights=str(pack.path))
    with pytest.raises(UsageError, match="--weights imagenet: not available for quick"):
        go(pack, tmp_path / "run", weights="imagenet")
    assert not (tmp_path / "run").exists()


# --- options ---


@pytest.mark.slow
def test_class_weights_come_from_the_train_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"train": [0] * 6 + [1] * 3 + [2], "validation": [0, 1, 2]}
    emotions = ["sad", "happy", "angry", "fear"]
    pack = make_pack(tmp_path / "pack", {"train": 10, "validation": 3}, labels=labels, emotions=emotions)
    seen: list[Any] = []
    plain = F.cross_entropy

    def record(logits: Any, target: Any, weight: Any, **options: Any) -> Any:
        seen.append(weight)
        return plain(logits, target, weight, **options)

    monkeypatch.setattr(F, "cross_entropy", record)
    go(pack, tmp_path / "weighted", epochs=1, class_weights=True)
    torch.testing.assert_close(seen[-1], torch.tensor([10 / 24, 10 / 12, 10 / 4, 0.0]))
    go(pack, tmp_path / "plain", epochs=1, class_weights=False)
    assert seen[-1] is None


@pytest.mark.slow
def test_progressive_sizes(pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = train_setup.augment

    def record(x: Any, settings: Any, size: int, *rest: Any) -> Any:
        seen.append(size)
        return plain(x, settings, size, *rest)

    monkeypatch.setattr(train_setup, "augment", record)
    run = go(pack, tmp_path / "run", epochs=4, batch_size=28, progressive_sizes="12=0.5,16=0.25,20=0.25")
    assert seen == [12, 12, 16, 20]
    assert load_checkpoint(run.path).metadata.preprocessing.input_size == 16


def test_input_size_overrides_progressive_sizes() -> None:
    recipe = load_recipe("quick").train.progressive_sizes
    assert TrainConfig.of(model="quick").progressive_sizes == recipe
    assert TrainConfig.of(model="quick", input_size=64).progressive_sizes == ()
    assert TrainConfig.of(model="quick", input_size=64, progressive_sizes="40=1").progressive_sizes == ((40, 1.0),)
    config = TrainConfig.of(model="quick", epochs=10, input_size=64)
    assert {config.size_at(epoch, 64) for epoch in range(10)} == {64}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"progressive_sizes": "32=0.5"},
            "progressive-sizes: sides from 8 to 1024 pixels with shares that add up to 1",
        ),
        ({"progressive_sizes": "4=1"}, "progressive-sizes: sides"),
        ({"progressive_sizes": "x=1"}, "progressive-sizes: sides"),
        ({"epochs": 0}, "epochs: input should be greater than or equal to 1"),
        ({"lr": -1.0}, "lr: input should be greater than 0"),
        ({"optimizer": "sgdd"}, "optimizer: input should be 'sgd'"),
        ({"flipp": 0.5}, "flipp: no such option"),
        ({"device": "gpu"}, "device: "),
        ({"model": "quickk"}, "no model 'quickk'; did you mean quick"),
        (
            {"attention_consistency": 5, "compile": True},
            "attention-consistency: reads a feature map inside the model; use it without compile",
        ),
    ],
)
def test_wrong_options_give_one_line_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        TrainConfig.of(**options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_added_later_are_in_the_key_when_they_are_set() -> None:
    added = {"focal", "logit_adjustment", "attention_consistency", "sam", "sam_every"}
    assert not added & TrainConfig.of(focal=0, sam_every=1).options().keys()
    assert added & TrainConfig.of(focal=2, sam=0.05).options().keys() == {"focal", "sam"}


def test_model_without_a_last_feature_map_is_refused_at_the_start(pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^attention-consistency: needs a model that ends in a feature"):
        go(pack, tmp_path / "run", model="vgg16", reduced=True, input_size=32, phase="attention-consistency=5")
    assert not (tmp_path / "run").exists()


def test_option_of_another_model_is_rejected(pack: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="model quick has no option 'attention-at'"):
        go(pack, tmp_path / "run", attention_at="layer1")


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"attention": "se"}, {"attention": "cbam"}])
def test_model_options_are_saved_in_the_checkpoint(options: dict[str, str], pack: Artifact, tmp_path: Path) -> None:
    run = go(pack, tmp_path / "run", **options)
    checkpoint = load_checkpoint(run.path)
    assert checkpoint.metadata.options == {"reduced": False, **options}
    assert run.summary["parameters"] == sum(p.numel() for p in checkpoint.model.parameters()) != 619_367
    assert go(pack, tmp_path / "run", **options).up_to_date
    with pytest.raises(UsageError, match="no attention 'x'; there are none, se, eca, cbam"):
        go(pack, tmp_path / "other", attention="x")
    with pytest.raises(UsageError, match="model quick-vgg has no option 'attention'"):
        go(pack, tmp_path / "other", model="quick-vgg", attention="se")


# --- errors ---


@pytest.mark.slow
def test_non_finite_loss_stops_the_training(pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, calls = F.cross_entropy, iter(range(1, 100))

    def broken(*arguments: Any, **options: Any) -> Any:
        return plain(*arguments, **options) * (float("inf") if next(calls) == 5 else 1)

    monkeypatch.setattr(F, "cross_entropy", broken)
    with pytest.raises(FerError, match=r"not finite in epoch 2, step 2, at a learning rate near 0\.01; lower lr"):
        go(pack, tmp_path / "run", epochs=3, lr=0.01, schedule="constant")
    assert not (tmp_path / "run").exists()


def test_too_little_memory_is_an_error_with_advice(
    pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(train_setup, "augment", full)
    advice = "the memory of cpu does not hold a batch of 8; process it in parts with accumulate 4, or lower batch-size"
    with pytest.raises(DeviceMemoryError, match=advice):
        go(pack, tmp_path / "run", accumulate=2)


def test_non_finite_weights_after_the_last_step_are_an_error(pack: Artifact, tmp_path: Path) -> None:
    # A single step: its loss is finite, and only validation shows what it does to the weights.
    options = {"epochs": 1, "batch_size": 28, "lr": 100.0, "optimizer": "sgd", "momentum": 0.0, "schedule": "constant"}
    with pytest.raises(FerError, match=r"the validation loss is not finite after epoch 1"):
        go(pack, tmp_path / "run", **options, weight_decay=1e38, ema=0.0, nesterov=False, clip_norm=0.0)
    assert not (tmp_path / "run").exists()
