"""Training on valence and arousal besides emotions, up to evaluation and prediction."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.errors import UsageError
from fercli.metrics.affect import agreement
from fercli.models.checkpoints import load_checkpoint
from fercli.packs.affect import read_affect
from fercli.packs.opening import open_pack
from fercli.stages.train.config import TrainConfig
from tests.helpers.packs import QUICK, make_affect_pack, make_pack
from tests.helpers.training import Listener, go

COUNTS = {"train": 140, "validation": 42, "test": 42}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_affect_pack(tmp_path_factory.mktemp("affect") / "pack", COUNTS)


@pytest.fixture(scope="module")
def run(pack: Artifact) -> Artifact:
    options = {**QUICK, "epochs": 4, "batch_size": 14, "select": "macro_f1"}
    made = fercli.train(pack.path, pack.path.parent / "run", targets="both", **options)
    return open_artifact(made.path, "run")


def columns(file: Path) -> dict[str, list[str]]:
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_both_are_learned_and_stand_in_the_history(run: Artifact) -> None:
    found = run.summary["validation"]
    assert found["accuracy"] > 0.9
    assert found["affect"]["n"] == 31
    history = columns(run.path / "metrics.csv")
    assert float(history["validation_valence_ccc"][-1]) > 0.7
    assert float(history["validation_arousal_ccc"][-1]) > 0.4
    best = run.summary["best_epoch"] - 1
    assert float(history["validation_valence_ccc"][best]) == pytest.approx(found["affect"]["valence_ccc"])
    checkpoint = load_checkpoint(run.path)
    assert checkpoint.metadata.affect
    assert checkpoint.metadata.validation["validation_arousal_rmse"] == found["affect"]["arousal_rmse"]


def test_training_without_it_is_unchanged(tmp_path: Path, pack: Artifact) -> None:
    plain = make_pack(tmp_path / "plain", COUNTS)
    weights = []
    for name, one in (("a", plain), ("b", pack)):
        made = fercli.train(one.path, tmp_path / name, **QUICK)
        weights.append(load_file(made.path / "best" / "model.safetensors"))
        assert "affect" not in made.summary["validation"]
        assert "validation_valence_ccc" not in columns(made.path / "metrics.csv")
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_options_of_other_runs_have_the_same_key() -> None:
    before = TrainConfig.of().options()
    assert not any("affect" in name for name in before)
    assert TrainConfig.of(affect_weight=1.0, affect_loss="mse+ccc").options() == before
    assert TrainConfig.of(affect_weight=2.0).options()["affect_weight"] == 2.0


def test_options_and_augmentation_go_together(tmp_path: Path, pack: Artifact) -> None:
    options = {"mixup": 0.4, "cutmix": 1.0, "accumulate": 2, "class_weights": True, "sam": 0.05, "focal": 1.0}
    made = fercli.train(pack.path, tmp_path / "a", targets="both", affect_loss="mse", **options, **QUICK)
    assert np.isfinite(float(columns(made.path / "metrics.csv")["train_loss"][-1]))


def test_weights_go_from_one_kind_of_run_to_the_other(tmp_path: Path, pack: Artifact, run: Artifact) -> None:
    options = {**QUICK, "epochs": 1}
    alone = fercli.train(pack.path, tmp_path / "alone", weights=str(run.path), **options)
    assert alone.summary["weights"]["by_emotion"] == ["classifier.weight", "classifier.bias"]
    again = fercli.train(pack.path, tmp_path / "again", targets="both", weights=str(alone.path), **options)
    assert again.summary["weights"]["new"] == []
    assert "valence" not in again.summary["weights"]["emotions"]


def test_refusals(tmp_path: Path) -> None:
    plain = make_pack(tmp_path / "plain")
    with pytest.raises(UsageError, match=r"the train split of .*plain has no valence and arousal; import AffectNet"):
        fercli.train(plain.path, tmp_path / "a", targets="both", **QUICK)
    affect = {"train": np.zeros((28, 2), np.float32)}
    half = make_pack(tmp_path / "half", {"train": 28, "validation": 14}, affect=affect)
    with pytest.raises(UsageError, match=r"the validation split of .*half has no valence and arousal"):
        fercli.train(half.path, tmp_path / "b", targets="both", **QUICK)


def test_evaluation_has_the_metrics_of_its_table(tmp_path: Path, pack: Artifact, run: Artifact) -> None:
    made = fercli.evaluate(run.path, pack.path, tmp_path / "e", device="cpu")
    table = columns(made.path / "predictions.csv")
    assert [*table][-4:] == ["valence", "arousal", "annotated_valence", "annotated_arousal"]
    annotated = read_affect(open_pack(pack), "test")
    assert annotated is not None
    known = ~np.isnan(annotated[:, 0])
    assert [cell != "" for cell in table["annotated_valence"]] == known.tolist()
    summary = made.summary["affect"]
    assert summary["n"] == known.sum() == 31
    for k, name in enumerate(("valence", "arousal")):
        predicted = np.array(table[name], np.float64)[known]
        expected = agreement(predicted, annotated[known, k])
        assert summary[name]["ccc"] == pytest.approx(expected.ccc.value, abs=1e-4)
        assert summary[name]["rmse"] == pytest.approx(expected.rmse.value, abs=1e-4)
        assert summary[name]["ccc_interval"][0] < summary[name]["ccc"] < summary[name]["ccc_interval"][1]
    page = (made.path / "report.html").read_text()
    assert "Valence and arousal</h2>" in page
    assert "Predicted against annotated" in page


def test_logits_are_those_of_the_emotions(run: Artifact) -> None:
    model = fercli.load(run.path, device="cpu")
    assert model.module(torch.zeros(2, 1, 16, 16)).shape == (2, 7)


def test_pack_without_annotations_is_evaluated_on_emotions_alone(tmp_path: Path, run: Artifact) -> None:
    plain = make_pack(tmp_path / "plain", COUNTS)
    made = fercli.evaluate(run.path, plain.path, tmp_path / "e", split="validation", device="cpu")
    assert "affect" not in made.summary
    table = columns(made.path / "predictions.csv")
    assert set(table["annotated_valence"]) == {""}
    assert all(-1 <= float(cell) <= 1 for cell in table["valence"])


def test_predictions_have_the_values_of_the_evaluation(tmp_path: Path, pack: Artifact, run: Artifact) -> None:
    evaluated = columns(fercli.evaluate(run.path, pack.path, tmp_path / "e", device="cpu").path / "predictions.csv")
    found = fercli.predict(run.path, pack.path, csv=tmp_path / "p.csv", split="test", device="cpu")
    table = columns(tmp_path / "p.csv")
    assert [*table][-2:] == ["valence", "arousal"]
    for name in ("valence", "arousal", "happy"):
        assert np.allclose(np.array(table[name], float), np.array(evaluated[name], float), atol=2e-6)
    row = found.rows[0].as_dict(found.emotions)
    assert row["valence"] == pytest.approx(float(table["valence"][0]))
    face = fercli.load(run.path, device="cpu").predict(np.zeros((16, 16), np.uint8), faces="crop")[0]
    assert face.valence is not None
    assert -1 <= face.valence <= 1


def test_comparisons_read_the_table(tmp_path: Path, pack: Artifact, run: Artifact) -> None:
    options = {"device": "cpu"}
    paths = [fercli.evaluate(run.path, pack.path, tmp_path / tta, tta=tta, **options).path for tta in ("none", "flip")]
    assert fercli.compare(paths, out=tmp_path / "c").manifest.kind == "comparison"


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_resumed_run_is_that_of_one_call(mixup: float, pack: Artifact, tmp_path: Path) -> None:
    options = {"targets": "both", "epochs": 3, "batch_size": 14, "mixup": mixup, "device": "cpu"}
    whole = go(pack, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        go(pack, tmp_path / "run", Listener(interrupt_at=15), **options)  # an epoch has ten steps
    listener = Listener()
    resumed = go(pack, tmp_path / "run", listener, **options)
    assert listener.resumed == ["resuming from epoch 1/3"]
    assert resumed.manifest.digest == whole.manifest.digest
