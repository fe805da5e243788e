"""Mixed precision: float16 with a scaled loss, as far as it can be tested on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fercli.errors import FerError
from fercli.models.devices import training_type
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.packs.loading import PackDataset, load_pack
from fercli.packs.opening import open_pack
from fercli.stages.train.config import TrainConfig
from fercli.training.loop import Trainer
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.training import saved

CPU = torch.device("cpu")
PLAIN = {"optimizer": "sgd", "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "ema": 0.0}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> PackDataset:
    return load_pack(open_pack(make_pack(tmp_path_factory.mktemp("p") / "p", {"train": 24})), "train", CPU)


def trainer(
    faces: PackDataset,
    dtype: torch.dtype = torch.float16,
    scale: float | None = None,
    *,
    reduced: bool = True,
    **options: Any,
) -> Trainer:
    config = TrainConfig.of(**{**QUICK, **options})
    torch.manual_seed(config.seed)
    model, preprocessing = create_model("quick", 7, reduced=reduced), Preprocessing.of(find_model("quick"), 16)
    one = Trainer(config.phases, model, preprocessing, faces, 7, CPU, dtype, seed=config.seed)
    if scale is not None:
        one.scaler.load_state_dict({**one.scaler.state_dict(), "scale": scale})
    return one


def weights(one: Trainer) -> Tensor:
    return torch.cat([p.detach().flatten() for p in one.model.parameters()])


def epoch(one: Trainer) -> dict[str, float]:
    return one.train_epoch(lambda count, note: None)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_model_computes_in_the_given_dtype(faces: PackDataset, dtype: torch.dtype) -> None:
    seen: list[torch.dtype] = []
    one = trainer(faces, dtype)
    next(m for m in one.model.modules() if isinstance(m, nn.Linear)).register_forward_hook(
        lambda module, given, found: seen.append(found.dtype)
    )
    epoch(one)
    assert set(seen) == {dtype}
    assert {p.dtype for p in one.model.parameters()} == {torch.float32}
    assert one.scaler.is_enabled() == (dtype == torch.float16)


@pytest.mark.slow
def test_float16_steps_match_float32(faces: PackDataset) -> None:
    moved = []
    for dtype in (torch.float32, torch.float16):
        one = trainer(faces, dtype, reduced=False, lr=0.01, schedule="constant", **PLAIN)
        before = weights(one)
        epoch(one)
        moved.append(weights(one) - before)
    assert moved[0].norm() > 0.01
    assert (moved[1] - moved[0]).norm() < 0.05 * moved[0].norm()


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 2.0**10])
def test_clipping_uses_unscaled_gradients(faces: PackDataset, scale: float) -> None:
    one = trainer(faces, scale=scale, lr=1.0, schedule="constant", clip_norm=1e-3, **{**PLAIN, "batch_size": 24})
    before = weights(one)
    epoch(one)
    assert float((weights(one) - before).norm()) == pytest.approx(1e-3, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "radam", "ranger-adabelief", "muon"])
def test_step_with_overflowing_gradient_is_skipped(
    faces: PackDataset, optimizer: str, clip_norm: float, recwarn: pytest.WarningsRecorder
) -> None:
    options = {"optimizer": optimizer, "schedule": "cosine", "epochs": 2, "lr": 0.01, "clip_norm": clip_norm}
    one = trainer(faces, scale=2.0**120, weight_decay=0.1, **options)
    before = weights(one)
    metrics = epoch(one)
    assert torch.equal(weights(one), before)
    assert one.scaler.get_scale() == 2.0**117  # halved in each of the three steps
    assert one.lr_schedule.value == pytest.approx(0.005)  # as at the end of the epoch
    assert torch.tensor(metrics["train_loss"]).isfinite()
    assert not any("lr_scheduler" in str(warning.message) for warning in recwarn.list)
    one.scaler.load_state_dict({**one.scaler.state_dict(), "scale": 1024.0})
    epoch(one)
    assert not torch.equal(weights(one), before)
    assert weights(one).isfinite().all()
    assert one.lr_schedule.value == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
def test_non_finite_gradient_at_any_scale_is_an_error(faces: PackDataset) -> None:
    one = trainer(faces, scale=2.0**-12)
    next(one.model.parameters()).register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(FerError, match=r"the gradient is not finite in epoch 1, at any scale; .*precision to float32"):
        epoch(one)


@pytest.mark.slow
def test_scale_is_saved_and_restored(faces: PackDataset, tmp_path: Path) -> None:
    one, other = trainer(faces, scale=2.0**80), trainer(faces)
    epoch(one)
    other.restore(saved(one, tmp_path / "resume" / "state.pt"))
    assert other.scaler.state_dict() == one.scaler.state_dict()
    for each in (one, other):
        epoch(each)
    assert torch.equal(weights(one), weights(other))
    elsewhere = trainer(faces, torch.float32)  # the same run, resumed on another device
    elsewhere.restore(saved(one, tmp_path / "resume" / "state.pt"))
    trainer(faces).restore(saved(elsewhere, tmp_path / "resume" / "state.pt"))


@pytest.mark.parametrize(
    ("major", "native", "wanted"),
    [
        (6, False, torch.float32),
        (7, False, torch.float16),
        (8, True, torch.bfloat16),
        (9, True, torch.bfloat16),
    ],
)
def test_auto_chooses_the_fastest_dtype(
    major: int, native: bool, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, 5))
    assert training_type("auto", torch.device("cuda")) is wanted
    for name in ("float32", "float16", "bfloat16"):
        assert training_type(name, torch.device("cuda")) is getattr(torch, name)
    assert training_type("auto", CPU) in (torch.float32, torch.bfloat16)
    assert training_type("auto", torch.device("mps")) is torch.float32
