"""The training loop, without a stage."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sk
from torch import Tensor, nn

from fercli.errors import FerError
from fercli.models.inference import predict
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.packs.loading import PackDataset, load_pack, split_batches
from fercli.packs.opening import open_pack
from fercli.stages.train.config import TrainConfig
from fercli.training import criterion, loop
from fercli.training.augment import augment
from fercli.training.loop import Trainer
from fercli.training.losses import class_weights
from fercli.training.validation import validate
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.training import saved

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing.of(find_model("quick"), 16)


def ignore(count: int, note: str) -> None:
    """Ignore progress."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> PackDataset:
    labels = {"train": [0] * 12 + [1] * 6 + [2, 3, 4, 5, 6]}
    return load_pack(
        open_pack(make_pack(tmp_path_factory.mktemp("p") / "p", {"train": 23}, labels=labels)), "train", CPU
    )


def trainer(faces: PackDataset, **options: Any) -> Trainer:
    config = TrainConfig.of(**{**QUICK, **options})
    torch.manual_seed(config.seed)
    return Trainer(config.phases, create_model("quick", 7), PREPROCESSING, faces, 7, CPU, seed=config.seed)


def test_metrics_of_an_epoch(faces: PackDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[Tensor, Tensor, Any, float]] = []
    plain = F.cross_entropy

    def record(logits: Tensor, labels: Tensor, weight: Any, label_smoothing: float) -> Tensor:
        steps.append((logits.detach().clone(), labels, weight, label_smoothing))
        return plain(logits, labels, weight, label_smoothing=label_smoothing)

    monkeypatch.setattr(F, "cross_entropy", record)
    one = trainer(faces, class_weights=True, label_smoothing=0.1)
    seen: list[int] = []
    found = one.train_epoch(lambda count, note: seen.append(count))
    assert seen == [8, 8, 7]
    assert one.steps == one.steps_per_epoch == 3
    logits, labels = (torch.cat([step[i] for step in steps]) for i in (0, 1))
    assert sorted(labels.tolist()) == sorted(faces.labels.tolist())
    assert labels.tolist() != faces.labels.tolist()  # shuffled
    weight = class_weights(faces.labels, 7)
    losses = [plain(step[0], step[1], weight, label_smoothing=0.1) for step in steps]
    assert found["train_loss"] == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)
    predictions = logits.argmax(1)
    assert found["train_accuracy"] == pytest.approx(sk.accuracy_score(labels, predictions))
    macro = sk.f1_score(labels, predictions, average="macro", labels=range(7), zero_division=0)
    assert found["train_macro_f1"] == pytest.approx(macro)
    assert found["epoch"] == one.epoch == 1


@pytest.mark.parametrize(("count", "batch_size"), [(23, 8), (20, 8), (16, 8), (5, 8), (23, 2), (21, 4)])
def test_steps_per_epoch_match_the_batches(faces: PackDataset, count: int, batch_size: int) -> None:
    some = PackDataset(faces.images[:count], faces.labels[:count], CPU, True)
    one = trainer(some, batch_size=batch_size)
    assert one.steps_per_epoch == len(split_batches(torch.arange(count), batch_size))


def test_clipping_bounds_the_gradient(faces: PackDataset) -> None:
    # With plain SGD the length of a step is the learning rate times the gradient's norm.
    options = {
        "optimizer": "sgd",
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "ema": 0.0,
        "batch_size": 23,
    }
    moved = []
    for clip in (0.0, 1e-3):
        one = trainer(faces, lr=1.0, schedule="constant", clip_norm=clip, **options)
        before = torch.cat([p.detach().flatten() for p in one.model.parameters()])
        one.train_epoch(ignore)
        moved.append(float((torch.cat([p.detach().flatten() for p in one.model.parameters()]) - before).norm()))
    assert moved[0] > 0.01
    assert moved[1] == pytest.approx(1e-3, rel=0.01)


@pytest.mark.slow
def test_the_moving_average_is_evaluated(faces: PackDataset) -> None:
    with_ema, without = trainer(faces, ema=0.9), trainer(faces, ema=0.0)
    assert with_ema.ema is not None
    assert with_ema.eval_model is with_ema.ema.model
    assert without.eval_model is without.model
    with_ema.train_epoch(ignore)
    before = {name: tensor.clone() for name, tensor in with_ema.eval_model.state_dict().items()}
    validate(with_ema.eval_model, faces, PREPROCESSING, 7)
    with_ema.train_epoch(ignore)  # still updates after an evaluation
    after = with_ema.eval_model.state_dict()
    assert not torch.equal(after["classifier.weight"], before["classifier.weight"])


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("step", [2, 60])
def test_non_finite_loss_stops_the_training(
    faces: PackDataset, monkeypatch: pytest.MonkeyPatch, value: float, step: int
) -> None:
    plain, calls = F.cross_entropy, iter(range(1, 10_000))
    first = {"batch_size": 2, "lr": 0.02, "schedule": "constant", "optimizer": "sgd"}
    many = PackDataset(faces.images.repeat(6, 1, 1), faces.labels.repeat(6), CPU, True)
    one = trainer(many, **first)
    steps: list[int] = []

    def broken(*arguments: Any, **options: Any) -> Tensor:
        steps.append(next(calls))
        return plain(*arguments, **options) * (value if steps[-1] == step else 1)

    monkeypatch.setattr(F, "cross_entropy", broken)
    with pytest.raises(FerError, match=rf"not finite in epoch 1, step {step}, at a learning rate near 0\.02; lower lr"):
        one.train_epoch(ignore)
    assert len(steps) <= -(-step // loop.CHECK_EVERY) * loop.CHECK_EVERY  # at the next check, or at the epoch's end


def test_validation_matches_prediction(faces: PackDataset) -> None:
    torch.manual_seed(0)
    model = create_model("quick", 7)
    found = validate(model, faces, PREPROCESSING, 7)
    probabilities = predict(model, faces.images.unsqueeze(1), PREPROCESSING, device=CPU).numpy()
    labels, predictions = faces.labels.numpy(), probabilities.argmax(1)
    assert found["validation_accuracy"] == pytest.approx(sk.accuracy_score(labels, predictions))
    macro = sk.f1_score(labels, predictions, average="macro", labels=range(7), zero_division=0)
    assert found["validation_macro_f1"] == pytest.approx(macro)
    sharp = probabilities.astype(np.float64)
    loss = sk.log_loss(labels, sharp / sharp.sum(1, keepdims=True), labels=range(7))
    assert found["validation_loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_state_round_trip(faces: PackDataset, tmp_path: Path) -> None:
    first, second = trainer(faces), trainer(faces)
    first.history.append(first.train_epoch(ignore))
    second.restore(saved(first, tmp_path / "resume" / "state.pt"))
    assert (second.epoch, second.steps, second.history) == (first.epoch, first.steps, first.history)
    for each in (first, second):
        each.train_epoch(ignore)
    for mine, theirs in zip(
        first.eval_model.state_dict().values(), second.eval_model.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.slow
def test_alternating_flips(faces: PackDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    plain = augment

    def record(x: Tensor, *rest: Any) -> Tensor:
        seen.append(rest[-1])
        return plain(x, *rest)

    def epoch(one: Trainer) -> Tensor:
        seen.clear()
        one.augment = record
        one.train_epoch(ignore)
        return torch.cat(seen)

    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n))
    one = trainer(faces, alternating_flip=True, epochs=3)
    first, second, third = (epoch(one) for _ in range(3))
    assert len(first) == 23
    assert 0.2 < first.float().mean() < 0.8
    assert torch.equal(first, ~second)
    assert torch.equal(first, third)
    assert not torch.equal(first, epoch(trainer(faces, alternating_flip=True, seed=1)))
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n).flip(0))
    assert torch.equal(first.flip(0), epoch(trainer(faces, alternating_flip=True))), (
        "by face, not by position in the batch"
    )
    last = trainer(faces, alternating_flip=False)
    last.augment = record
    last.train_epoch(ignore)
    assert seen[-1] is None, "random, unless alternating"


# --- parts of the loss ---


def record_targets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Return a list that collects the logits and targets of each step."""
    seen: list[tuple[Tensor, Tensor]] = []
    plain = criterion.cross_entropy

    def record(logits: Tensor, targets: Tensor, *rest: Any) -> Tensor:
        seen.append((logits.detach().clone(), targets))
        return plain(logits, targets, *rest)

    monkeypatch.setattr(criterion, "cross_entropy", record)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("alphas", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}], ids=str)
def test_mixed_faces_have_mixed_targets(
    faces: PackDataset, alphas: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = record_targets(monkeypatch)
    one = trainer(faces, class_weights=True, **alphas)
    found = one.train_epoch(ignore)
    logits, targets = (torch.cat([step[i] for step in seen]) for i in (0, 1))
    assert targets.shape == (23, 7)
    torch.testing.assert_close(targets.sum(1), torch.ones(23))
    assert ((targets > 0).sum(1) == 2).any()
    larger = targets.argmax(1)  # metrics count the label with the larger share
    assert found["train_accuracy"] == pytest.approx(sk.accuracy_score(larger, logits.argmax(1)))
    again = trainer(faces, class_weights=True, **alphas)
    again.train_epoch(ignore)
    assert torch.equal(torch.cat([targets for _, targets in seen[3:]]), targets)
    for mine, theirs in zip(one.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.slow
def test_accuracy_on_mixed_faces_counts_the_larger_share(faces: PackDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Trainer.loss

    def perfect(self: Trainer, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return targets, plain(self, x, targets)[1]

    monkeypatch.setattr(Trainer, "loss", perfect)
    one = trainer(faces, mixup=1.0, epochs=4)
    assert [one.train_epoch(ignore)["train_accuracy"] for _ in range(4)] == [1.0] * 4


def test_l1_shrinks_weights_by_their_sign(faces: PackDataset) -> None:
    options = {"optimizer": "sgd", "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "ema": 0.0}
    options |= {"batch_size": 23, "schedule": "constant", "lr": 1.0}
    ended, losses = [], []
    for l1 in (0.0, 1e-3):
        one = trainer(faces, l1=l1, **options)
        before = {name: p.detach().clone() for name, p in one.model.named_parameters()}
        losses.append(one.train_epoch(ignore)["train_loss"])
        ended.append(dict(one.model.named_parameters()))
    for name, start in before.items():
        shrunk = 1e-3 * start.sign() if start.ndim > 1 else torch.zeros_like(start)
        torch.testing.assert_close(ended[0][name] - ended[1][name], shrunk, rtol=1e-3, atol=1e-5)
    size = sum(float(start.abs().sum()) for start in before.values() if start.ndim > 1)
    assert losses[1] - losses[0] == pytest.approx(1e-3 * size, rel=1e-4)


class OwnLoss(nn.Module):
    """A model with an extra loss term: the squared distance of the mean of its features from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.classifier = nn.Linear(256, 5), nn.Linear(5, 7)
        self.targets: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x.flatten(1)).relu())
        return logits

    def training_forward(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self.targets.append(targets)
        features = self.features(x.flatten(1)).relu()
        return self.classifier(features), (features.mean() - 1).square()


def with_own_loss(faces: PackDataset, dtype: torch.dtype, **options: Any) -> tuple[Trainer, float]:
    """Return a trainer with one step per epoch, and the expected loss of its untrained model."""
    torch.manual_seed(0)
    model = OwnLoss()
    plain = {
        "flip": 0.0,
        "rotation": 0.0,
        "scale": 0.0,
        "shift": 0.0,
        "brightness": 0.0,
        "contrast": 0.0,
        "erasing": 0.0,
    }
    config = TrainConfig.of(**{**QUICK, **plain, "alternating_flip": False, "batch_size": 23, **options})
    one = Trainer(config.phases, model, PREPROCESSING, faces, 7, CPU, dtype, seed=config.seed)
    x = PREPROCESSING(faces.images.unsqueeze(1))
    with torch.no_grad():
        features = model.features(x.flatten(1)).relu()
        own = (features.mean() - 1).square()
        loss = F.cross_entropy(model.classifier(features), faces.labels, label_smoothing=config.label_smoothing) + own
    return one, float(loss)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("compiled", [False, True])
def test_extra_loss_of_the_model_is_added(
    faces: PackDataset, dtype: torch.dtype, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    one, expected = with_own_loss(faces, dtype, compile=compiled)
    found = one.train_epoch(ignore)["train_loss"]
    assert found == pytest.approx(expected, rel=1e-5 if dtype == torch.float32 else 0.02)
    assert [sorted(targets.tolist()) for targets in one.model.targets] == [sorted(faces.labels.tolist())]
    validate(one.eval_model, faces, PREPROCESSING, 7)  # uses only its forward
    assert len(one.model.targets) == 1


def test_extra_loss_gets_mixed_targets(faces: PackDataset) -> None:
    one, _ = with_own_loss(faces, torch.float32, mixup=1.0)
    one.train_epoch(ignore)
    assert one.model.targets[0].shape == (23, 7)
    assert one.model.features.weight.grad is None  # used by the step, then cleared
