"""Probes: trained on cached features, and then models like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fercli.artifacts import Artifact
from fercli.errors import DataError, UsageError
from fercli.evaluation.predicting import predict_images, read_faces
from fercli.models.checkpoints import load_checkpoint
from fercli.models.feature_cache import FrozenEncoder
from fercli.packs.opening import open_pack
from fercli.stages.crossvalidate.config import CrossvalidateConfig
from fercli.stages.crossvalidate.stage import crossvalidate
from fercli.stages.train.config import TrainConfig
from fercli.stages.tune.config import TuneConfig
from fercli.stages.tune.stage import tune
from tests.helpers.crossvalidation import OPTIONS, make_faces
from tests.helpers.packs import COUNTS, make_pack
from tests.helpers.progress import Log
from tests.helpers.training import Listener, go, table

PROBE: dict[str, Any] = {"model": "probe", "encoder": "timm/test_vit", "input_size": 32}


@pytest.fixture(autouse=True)
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of faces that go through an encoder, plain or mirrored, with an empty cache."""
    monkeypatch.setenv("FERCLI_CACHE", str(tmp_path / "cache"))
    plain, counts = FrozenEncoder.features, []

    def count(self: FrozenEncoder, images: Tensor, device: torch.device, *, mirrored: bool) -> Tensor:
        counts.append(len(images))
        return plain(self, images, device, mirrored=mirrored)

    monkeypatch.setattr(FrozenEncoder, "features", count)
    return counts


def test_run_is_a_whole_classifier(pack: Artifact, tmp_path: Path) -> None:
    run = go(pack, tmp_path / "run", **PROBE, epochs=3, lr=0.01)
    checkpoint, info = load_checkpoint(run.path), open_pack(pack)
    assert run.summary["model"] == checkpoint.metadata.architecture == "probe/test_vit"
    assert run.summary["parameters"] == sum(p.numel() for p in checkpoint.model.parameters())
    assert checkpoint.metadata.preprocessing.mean == (0.5, 0.5, 0.5)
    faces = read_faces(info, "validation")
    found = predict_images(checkpoint, faces.images, device=torch.device("cpu"), calibrated=False)
    loss = -torch.from_numpy(found[range(len(faces.labels)), faces.labels]).log().mean()
    assert checkpoint.metadata.validation["validation_loss"] == pytest.approx(float(loss), abs=1e-4)
    assert table(run)[2]["train_loss"] < table(run)[0]["train_loss"]


def test_encoder_sees_each_face_once_and_test_never(pack: Artifact, tmp_path: Path, seen: list[int]) -> None:
    go(pack, tmp_path / "run", **PROBE)
    assert sum(seen) == 2 * COUNTS["train"] + COUNTS["validation"]
    seen.clear()
    go(pack, tmp_path / "other", **PROBE, head="mlp", lr=0.01, flip=0)
    assert seen == []


@pytest.mark.slow
def test_resumed_run_is_that_of_one_call(pack: Artifact, tmp_path: Path, one_thread: None) -> None:
    options = {**PROBE, "epochs": 2, "phase": ("epochs=2,lr=1e-4",), "snapshots": "3"}
    whole = go(pack, tmp_path / "whole", **options)
    # In the second epoch, then in the third; the features are in the cache. An epoch has three batches.
    for call in (1 + 4 + 2, 1 + 4 + 1 + 2):
        with pytest.raises(KeyboardInterrupt):
            go(pack, tmp_path / "run", Listener(interrupt_at=call), **options)
    listener = Listener()
    resumed = go(pack, tmp_path / "run", listener, **options)
    assert listener.resumed == ["resuming from epoch 2/4"]
    assert resumed.manifest.digest == whole.manifest.digest
    assert len(resumed.summary["snapshots"]) == 1
    for name in ("best", "last", *resumed.summary["snapshots"]):
        load_checkpoint(resumed.path / name)


def test_weights_from_a_file(pack: Artifact, tmp_path: Path) -> None:
    torch.manual_seed(9)
    state = timm.create_model("test_vit", num_classes=0).state_dict()
    save_file({f"image_encoder.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.safetensors")
    run, log = go(pack, tmp_path / "run", **PROBE, weights=tmp_path / "w.safetensors"), Log()
    own = load_file(run.path / "best" / "model.safetensors")
    assert all(torch.equal(own[f"encoder.{name}"], tensor) for name, tensor in state.items())
    again = go(pack, tmp_path / "again", log, **PROBE, weights=run.path)  # the head of a run too
    assert "new: none" in log.lines[0]
    assert again.summary["weights"]["new"] == []


def test_incomplete_weights_are_refused(pack: Artifact, tmp_path: Path) -> None:
    state = timm.create_model("test_vit", num_classes=0).state_dict()
    state.pop("norm.weight")
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"not the weights of probe/test_vit: 1 tensors .* such as norm.weight; choose"):
        go(pack, tmp_path / "run", **PROBE, weights=tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("option", "value"),
    [("rotation", 5), ("mixup", 0.2), ("freeze", "backbone"), ("erasing", 0.5), ("phase", "lr=1e-5,freeze=norms")],
)
def test_settings_of_pixels_are_refused(option: str, value: object) -> None:
    name = "freeze" if option == "phase" else option
    with pytest.raises(UsageError, match=f"{name}: model probe/test_vit trains its head on features"):
        TrainConfig.of(**PROBE, **{option: value})


def test_options_without_an_encoder_have_the_key_of_before() -> None:
    assert "encoder" not in TrainConfig.of().options()
    assert TrainConfig.of(**PROBE).options() == TrainConfig.of(model="probe/test_vit", input_size=32).options()


def test_trials_share_the_features(pack: Artifact, tmp_path: Path, seen: list[int]) -> None:
    pytest.importorskip("optuna")
    space = tmp_path / "space.toml"
    space.write_text('lr = [1e-3, 1e-1]\nhead = ["linear", "mlp"]\n')
    config = TuneConfig.of(
        pack=pack.path, out=tmp_path / "study", **PROBE, epochs=1, batch_size=8, trials=3, space=space, device="cpu"
    )
    study = tune(config)
    assert study.summary["complete"] == 3
    assert sum(seen) == 2 * COUNTS["train"] + COUNTS["validation"]


def test_folds_share_the_features(tmp_path: Path, seen: list[int]) -> None:
    dataset = make_faces(tmp_path / "faces")
    options = {**OPTIONS, **PROBE, "flip": 0.0}
    found = crossvalidate(CrossvalidateConfig.of(dataset=dataset.path, out=tmp_path / "cv", **options))
    assert sum(seen) == found.summary["n"] == 36


def test_packs_share_the_features_of_equal_images(tmp_path: Path, seen: list[int]) -> None:
    for name in ("one", "two"):
        go(make_pack(tmp_path / name, {"train": 28, "validation": 14}), tmp_path / f"run-{name}", **PROBE)
    assert sum(seen) == 2 * 28 + 14
