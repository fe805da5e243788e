"""Sharpness-aware minimisation, alone and in the training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.packs.loading import PackDataset, load_pack
from fercli.packs.opening import open_pack
from fercli.stages.train.config import TrainConfig
from fercli.training.loop import Trainer
from fercli.training.sam import SharpnessAware
from tests.helpers.packs import QUICK, make_pack

CPU = torch.device("cpu")
Loss = Callable[[], tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> PackDataset:
    return load_pack(open_pack(make_pack(tmp_path_factory.mktemp("p") / "p", {"train": 24})), "train", CPU)


def trainer(faces: PackDataset, dtype: torch.dtype = torch.float32, **options: Any) -> Trainer:
    config = TrainConfig.of(**{**QUICK, **options})
    torch.manual_seed(0)
    model, preprocessing = create_model("quick", 7, reduced=True), Preprocessing.of(find_model("quick"), 16)
    return Trainer(config.phases, model, preprocessing, faces, 7, CPU, dtype, config.seed, config.compile)


def scaler(*, enabled: bool = False) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", enabled=enabled)


def passes_of(loss: Loss, scale: torch.amp.GradScaler) -> Loss:
    """Return a function that computes a loss and its gradients."""

    def passes() -> tuple[Tensor, Tensor]:
        output, value = loss()
        scale.scale(value).backward()  # type: ignore[no-untyped-call]
        return output, value

    return passes


class Quadratic(nn.Module):
    """x^2 + 2 y^2 at (3, 2), where its gradient is (6, 8), of length 10."""

    def __init__(self) -> None:
        super().__init__()
        self.x, self.y = nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([2.0]))
        self.unused = nn.Parameter(torch.tensor([1.0]))
        self.seen: list[tuple[float, float]] = []

    def loss(self) -> tuple[Tensor, Tensor]:
        self.seen.append((self.x.item(), self.y.item()))
        value = (self.x.square() + 2 * self.y.square()).sum()
        return value.detach(), value


@pytest.mark.parametrize("enabled", [False, True])
def test_gradient_is_that_of_the_worst_point_nearby(enabled: bool) -> None:
    model = Quadratic()
    scale = scaler(enabled=enabled)
    _, loss = SharpnessAware(model, 0.5).backward(passes_of(model.loss, scale), 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    # At a distance of 0.5 along (0.6, 0.8) is (3.3, 2.4), where the gradient is (6.6, 9.6).
    assert model.seen == [(3.0, 2.0), pytest.approx((3.3, 2.4))]
    assert loss.item() == 17
    assert (model.x.item(), model.y.item()) == (3.0, 2.0)  # to the last bit
    scale.step(optimizer)
    assert (model.x.item(), model.y.item()) == pytest.approx((3 - 0.66, 2 - 0.96))
    assert model.unused.item() == 1.0


def test_only_every_few_steps_are_sharpness_aware() -> None:
    passes = []
    for step in range(6):
        model = Quadratic()
        SharpnessAware(model, 0.5, 3).backward(passes_of(model.loss, scaler()), step)
        passes.append(len(model.seen))
    assert passes == [2, 1, 1, 2, 1, 1]


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
def test_weights_stay_without_a_direction(value: float) -> None:
    model = Quadratic()
    model.x.register_hook(lambda gradient: gradient * value)
    if value == 0.0:
        model.y.register_hook(lambda gradient: gradient * value)
    SharpnessAware(model, 0.5).backward(passes_of(model.loss, scaler()), 0)
    assert model.seen == [(3.0, 2.0)] * 2
    assert (model.x.item(), model.y.item()) == (3.0, 2.0)


class Noisy(nn.Module):
    """Batch norm and dropout, of which each pass is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm, self.dropout = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.masks: list[Tensor] = []

    def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        dropped = self.dropout(self.norm(self.linear(x)) + 10)
        self.masks.append(dropped == 0)
        return dropped, dropped.square().mean()


def test_both_passes_have_one_dropout_mask_and_norms_count_the_first() -> None:
    torch.manual_seed(0)
    model, twin, x = Noisy(), Noisy(), torch.randn(8, 4)
    twin.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    SharpnessAware(model, 0.5).backward(passes_of(lambda: model.loss(x), scaler()), 0)
    after = torch.rand(1)
    torch.manual_seed(1)
    SharpnessAware(twin, 0.0).backward(passes_of(lambda: twin.loss(x), scaler()), 0)
    assert torch.equal(torch.rand(1), after)
    first, second = model.masks
    assert first.any()
    assert torch.equal(first, second)
    for mine, plain in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(mine, plain)
    assert int(model.norm.num_batches_tracked or 0) == 1


def weights(one: Trainer) -> Tensor:
    return torch.cat([p.detach().flatten() for p in one.model.parameters()])


def epoch(one: Trainer) -> dict[str, float]:
    return one.train_epoch(lambda count, note: None)


def test_step_of_the_loop_is_clipped_and_averaged(faces: PackDataset) -> None:
    plain = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "batch_size": 24}
    one = trainer(faces, sam=0.05, lr=1.0, clip_norm=1e-3, ema=0.9, **plain)
    before = weights(one)
    epoch(one)
    assert float((weights(one) - before).norm()) == pytest.approx(1e-3, rel=0.01)
    assert one.ema is not None
    average = torch.cat([p.flatten() for p in one.ema.model.parameters()])
    assert torch.allclose(average, torch.lerp(before, weights(one), 1 - 2 / 11), atol=1e-7)


def test_overflowing_gradient_skips_the_step(faces: PackDataset) -> None:
    one = trainer(faces, torch.float16, sam=0.05, optimizer="sgd", clip_norm=1.0)
    one.scaler.load_state_dict({**one.scaler.state_dict(), "scale": 2.0**120})
    before = weights(one)
    epoch(one)
    assert torch.equal(weights(one), before)
    assert one.scaler.get_scale() == 2.0**117  # halved once in each of the three steps
    one.scaler.load_state_dict({**one.scaler.state_dict(), "scale": 1024.0})
    epoch(one)
    assert not torch.equal(weights(one), before)
    assert weights(one).isfinite().all()


def test_off_is_the_plain_training(faces: PackDataset) -> None:
    ended = []
    for options in ({}, {"sam": 0.0, "sam_every": 4}, {"sam": 0.05}):
        one = trainer(faces, **options)
        epoch(one)
        ended.append(weights(one))
    assert torch.equal(ended[0], ended[1])
    assert not torch.equal(ended[0], ended[2])


@pytest.mark.slow
def test_compiled_model_steps_alike(faces: PackDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: compiled(model, backend="aot_eager"))
    ended = []
    for compile_it in (False, True):
        one = trainer(faces, sam=0.05, optimizer="sgd", compile=compile_it)
        epoch(one)
        ended.append(weights(one))
    assert torch.allclose(ended[0], ended[1], atol=1e-5)
