"""Training on votes: loss, metrics, and unchanged training on labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import fercli
from fercli.artifacts import Artifact
from fercli.errors import UsageError
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.packs.loading import PackDataset, load_pack
from fercli.packs.opening import open_pack
from fercli.stages.train.config import TrainConfig
from fercli.training import criterion
from fercli.training.loop import Trainer
from fercli.training.losses import cross_entropy
from fercli.training.mixup import MixupCutmix
from tests.helpers.packs import QUICK, make_pack

CPU = torch.device("cpu")
LABELS = np.arange(28) % 7
ONE_HOT = np.eye(7, dtype=np.float32)[LABELS]
SHARES = (0.7 * ONE_HOT + 0.3 * np.random.default_rng(0).dirichlet(np.ones(7), 28)).astype(np.float32)


def pack(folder: Path, votes: np.ndarray | None = None) -> Artifact:
    return make_pack(folder, {"train": 28, "validation": 14}, votes=None if votes is None else {"train": votes})


def weights(run: Artifact) -> dict[str, torch.Tensor]:
    return load_file(run.path / "best" / "model.safetensors")


def read_metrics(run: Artifact) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "images_per_second"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_targets_labels_ignores_votes(tmp_path: Path) -> None:
    plain = fercli.train(pack(tmp_path / "plain").path, tmp_path / "a", **QUICK)
    voted = pack(tmp_path / "voted", SHARES)
    labels = fercli.train(voted.path, tmp_path / "b", targets="labels", **QUICK)
    soft = fercli.train(voted.path, tmp_path / "c", **QUICK)
    for name, tensor in weights(plain).items():
        assert torch.equal(tensor, weights(labels)[name])
    assert read_metrics(plain) == read_metrics(labels)
    assert any(not torch.equal(tensor, weights(soft)[name]) for name, tensor in weights(plain).items())
    assert [run.summary["targets"] for run in (plain, labels, soft)] == ["labels", "labels", "votes"]


@pytest.mark.slow
def test_one_hot_votes_train_like_labels(tmp_path: Path) -> None:
    options = {**QUICK, "class_weights": True, "label_smoothing": 0.1}
    plain = fercli.train(pack(tmp_path / "plain").path, tmp_path / "a", **options)
    soft = fercli.train(pack(tmp_path / "voted", ONE_HOT).path, tmp_path / "b", targets="votes", **options)
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(tensor, weights(soft)[name], rtol=1e-3, atol=1e-4)
    for one, other in zip(read_metrics(plain), read_metrics(soft), strict=True):
        assert float(one["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-4)
        assert one["train_accuracy"] == other["train_accuracy"]


@pytest.mark.slow
def test_targets_are_reported(tmp_path: Path, fer: Any) -> None:
    voted, plain = pack(tmp_path / "voted", SHARES), pack(tmp_path / "plain")
    options = [f"--{k.replace('_', '-')}={v}" for k, v in QUICK.items()]
    ended = fer("train", voted.path, tmp_path / "run", *options, "--json")
    assert "targets: votes, 28 of 28 faces with several emotions" in ended.err
    assert "validation the label" in ended.err
    assert json.loads(ended.out)["targets"] == "votes"
    ended = fer("train", plain.path, tmp_path / "none", *options, "--targets", "votes")
    assert ended.code == 2
    assert ended.lines[-1].endswith("has no votes; import it with votes soft, or train with targets labels")
    assert not (tmp_path / "none").exists()
    with pytest.raises(UsageError, match=r"targets: .*'votes', 'labels' or 'both'"):
        TrainConfig.of(targets="neither")


def soft_faces(tmp_path: Path) -> PackDataset:
    return load_pack(open_pack(pack(tmp_path / "pack", SHARES)), "train", CPU, votes=True)


def trainer(faces: PackDataset, model: str = "quick", **options: Any) -> Trainer:
    config = TrainConfig.of(**{**QUICK, "model": model, **options})
    torch.manual_seed(0)
    net = create_model(model, 7, **config.model_options())
    spec = find_model(model)
    size = Preprocessing.of(spec, None if config.reduced else 16, reduced=config.reduced)
    return Trainer(config.phases, net, size, faces, 7, CPU, seed=config.seed, backbone=spec.backbone)


def record_loss(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, ...]]:
    seen: list[tuple[torch.Tensor, ...]] = []

    def record(logits: torch.Tensor, targets: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append((logits.detach().clone(), targets, *rest))
        return cross_entropy(logits, targets, *rest)

    monkeypatch.setattr(criterion, "cross_entropy", record)
    return seen


def test_loss_uses_votes_and_accuracy_the_strongest_emotion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = record_loss(monkeypatch)
    one = trainer(soft_faces(tmp_path), class_weights=True, label_smoothing=0.1, batch_size=7)
    found = one.train_epoch(lambda count, note: None)
    targets = torch.cat([step[1] for step in seen])
    assert sorted(map(tuple, targets.tolist())) == sorted(map(tuple, torch.from_numpy(SHARES).tolist()))
    weight = 28 / (7 * SHARES.sum(0))
    np.testing.assert_allclose(seen[0][2].numpy(), weight, rtol=1e-5)
    losses = [
        -(weight * (0.9 * t + 0.1 / 7) * F.log_softmax(x, 1).numpy()).sum() / (weight * t).sum()
        for x, t in ((x.float(), t.numpy()) for x, t, *_ in seen)
    ]
    assert found["train_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    right = torch.cat([step[0].argmax(1) for step in seen]) == targets.argmax(1)
    assert found["train_accuracy"] == pytest.approx(float(right.float().mean()))


@pytest.mark.parametrize("alphas", [{"mixup": 0.4}, {"cutmix": 1.0}], ids=str)
def test_votes_are_mixed_with_the_ratio_of_the_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alphas: dict[str, float]
) -> None:
    seen = record_loss(monkeypatch)
    given: list[torch.Tensor] = []
    faces = soft_faces(tmp_path)
    one = trainer(faces, **alphas)
    mix = MixupCutmix.__call__

    def record(self: MixupCutmix, x: torch.Tensor, targets: torch.Tensor, drawn: tuple[int, int]) -> Any:
        given.append(targets.clone())
        return mix(self, x, targets, drawn)

    monkeypatch.setattr(MixupCutmix, "__call__", record)
    one.train_epoch(lambda count, note: None)
    any_mixed = False
    for before, (_, after, *_) in zip(given, seen, strict=True):
        torch.testing.assert_close(after.sum(1), torch.ones(len(after)))
        # after = share x before + (1 - share) x the previous face's, with one share per batch
        step = before - before.roll(1, 0)
        share = float(((after - before.roll(1, 0)) * step).sum() / step.square().sum())
        assert 0 <= share <= 1
        torch.testing.assert_close(after, share * before + (1 - share) * before.roll(1, 0), rtol=1e-4, atol=1e-5)
        any_mixed |= share < 0.999
    assert any_mixed
    assert torch.equal(faces.votes, torch.from_numpy(SHARES))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["arbex", "ddamfn"])
def test_models_with_extra_loss_get_votes(tmp_path: Path, model: str) -> None:
    one = trainer(soft_faces(tmp_path), model, reduced=True, input_size=None)
    seen: list[torch.Tensor] = []
    forward, loss = one.forward, one.loss

    def record(x: torch.Tensor, targets: torch.Tensor) -> Any:
        seen.append(targets)
        return loss(x, targets)

    assert forward.has_own_loss
    one.loss = record  # type: ignore[method-assign]
    found = one.train_epoch(lambda count, note: None)
    assert all(targets.shape[1:] == (7,) for targets in seen)
    assert np.isfinite(found["train_loss"])
