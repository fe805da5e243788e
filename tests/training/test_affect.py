"""The loss of valence and arousal: by numbers computed elsewhere, over annotated faces only, in parts."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fercli.metrics.affect import agreement
from fercli.packs.loading import PackDataset
from fercli.recipes import PhaseSettings
from fercli.training.affect import AffectLoss, concordance, emotion_targets, with_affect
from fercli.training.mixup import MixupCutmix

CPU = torch.device("cpu")
GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = torch.randn(12, 9, generator=GENERATOR)
AFFECT = 2 * torch.rand(12, 2, generator=GENERATOR) - 1
AFFECT[[0, 5, 6]] = math.nan
TARGETS = torch.cat([torch.eye(7)[torch.arange(12) % 7], AFFECT], 1)
KNOWN = ~AFFECT.isnan().any(1)


def loss_of(kind: str, weight: float = 1.0, *, mixing: bool = False) -> AffectLoss:
    settings = PhaseSettings.model_validate({"lr": 0.1, "affect_loss": kind, "affect_weight": weight})
    return AffectLoss(settings, 7, mixing=mixing)


def whole(kind: str, outputs: Tensor = OUTPUTS, weight: float = 1.0) -> Tensor:
    one = loss_of(kind, weight)
    return one(outputs, TARGETS, one.count(TARGETS))


def test_losses_are_those_of_the_metrics() -> None:
    predicted = F.softsign(OUTPUTS[KNOWN, 7:]).numpy()
    found = [agreement(predicted[:, k], AFFECT[KNOWN, k].numpy()) for k in range(2)]
    squared = sum(one.rmse.value**2 for one in found) / 2
    discordance = 1 - sum(one.ccc.value for one in found) / 2
    assert float(whole("mse")) == pytest.approx(squared, rel=1e-5)
    assert float(whole("ccc")) == pytest.approx(discordance, rel=1e-5)
    assert float(whole("mse+ccc", weight=0.5)) == pytest.approx((squared + discordance) / 2, rel=1e-5)


@pytest.mark.parametrize("kind", ["mse", "ccc", "mse+ccc"])
def test_faces_without_annotations_do_not_count(kind: str) -> None:
    outputs = OUTPUTS.clone().requires_grad_()
    whole(kind, outputs).backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert not outputs.grad[~KNOWN].any()
    assert not outputs.grad[:, :7].any()
    assert outputs.grad[KNOWN][:, 7:].all()


def test_parts_of_a_batch_add_up_to_its_squared_error() -> None:
    for kind, same in (("mse", True), ("ccc", False)):
        one = loss_of(kind)
        parts = [one(OUTPUTS[k : k + 4], TARGETS[k : k + 4], one.count(TARGETS)) for k in (0, 4, 8)]
        assert (abs(float(sum(parts)) - float(whole(kind))) < 1e-6) == same


def test_a_part_without_annotations_has_a_gradient_of_zero() -> None:
    outputs = OUTPUTS[5:7].clone().requires_grad_()
    one = loss_of("mse+ccc")
    loss = one(outputs, TARGETS[5:7], one.count(TARGETS))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_mixtures_with_faces_without_annotations_have_none() -> None:
    settings = PhaseSettings.model_validate({"lr": 0.1, "mixup": 1.0})
    mixed = MixupCutmix(settings, 9)(torch.zeros(12, 1, 4, 4), TARGETS, (0, 1))[1]
    torch.testing.assert_close(mixed[:, :7].sum(1), torch.ones(12))
    known = ~mixed[:, 7:].isnan().any(1)
    assert known.tolist() == (KNOWN & KNOWN.roll(1)).tolist()
    assert loss_of("mse", mixing=True).count(TARGETS) == int(known.sum())
    share = mixed[2, 2]
    torch.testing.assert_close(mixed[2, 7:], share * TARGETS[2, 7:] + (1 - share) * TARGETS[1, 7:])


def test_concordance_of_constants_is_finite() -> None:
    x = torch.full((3, 2), 0.5, requires_grad=True)
    found = concordance(x, torch.full((3, 2), 0.5), torch.ones(3, 1))
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert found.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_joint_targets_hold_labels_or_votes() -> None:
    labels = torch.arange(4) % 3
    images = torch.zeros(4, 8, 8, dtype=torch.uint8)
    values = np.array([[0.5, -1], [np.nan, np.nan], [0, 0], [1, 1]], np.float32)
    plain = with_affect(PackDataset(images, labels, CPU, True), values, 3)
    assert torch.equal(emotion_targets(plain.targets, 3), torch.eye(3)[labels])
    assert plain.affect is not None
    assert np.array_equal(plain.affect.numpy(), values, equal_nan=True)
    votes = torch.full((4, 3), 1 / 3)
    voted = with_affect(PackDataset(images, labels, CPU, True, votes), values, 3)
    assert torch.equal(emotion_targets(voted.targets, 3), votes)
    _, targets = next(voted.batches(torch.tensor([3, 0]), 2))
    assert targets.shape == (2, 5)
    assert targets[:, 3:].tolist() == [[1, 1], [0.5, -1]]
    part = voted.subset(np.array([False, True, False, True]))
    assert part.targets.shape == (2, 5)
    assert emotion_targets(labels, 3) is labels
