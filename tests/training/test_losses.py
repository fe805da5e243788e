"""The loss, compared with torch's where they overlap, and with its definition otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.training.losses import class_weights, cross_entropy, focal_loss, l1_penalty, logit_offsets

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.tensor([0, 3, 1, 1, 2, 0])
WEIGHT = torch.tensor([0.5, 1.0, 3.0, 0.25])
SOFT = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).softmax(1)

each_smoothing = pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
each_weight = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])


def reference(logits: Tensor, targets: Tensor, weight: Tensor | None, smoothing: float) -> float:
    """Compute the loss of soft targets in numpy."""
    x, t = logits.double().numpy(), targets.double().numpy()
    w = np.ones(x.shape[1]) if weight is None else weight.double().numpy()
    logp = x - np.log(np.exp(x).sum(1, keepdims=True))
    smooth = (1 - smoothing) * t + smoothing / x.shape[1]
    return float(-(w * smooth * logp).sum() / (w * t).sum())


@each_weight
@each_smoothing
def test_labels_match_torch(weight: Tensor | None, smoothing: float) -> None:
    found = cross_entropy(LOGITS, LABELS, weight, smoothing)
    assert found == F.cross_entropy(LOGITS, LABELS, weight, label_smoothing=smoothing)
    assert float(found) == pytest.approx(reference(LOGITS, F.one_hot(LABELS, 4), weight, smoothing), rel=1e-5)


@each_smoothing
def test_soft_targets_match_torch(smoothing: float) -> None:
    found = cross_entropy(LOGITS, SOFT, None, smoothing)
    assert found == F.cross_entropy(LOGITS, SOFT, label_smoothing=smoothing)
    assert float(found) == pytest.approx(reference(LOGITS, SOFT, None, smoothing), rel=1e-5)


@each_smoothing
def test_soft_targets_with_class_weights(smoothing: float) -> None:
    found = cross_entropy(LOGITS, SOFT, WEIGHT, smoothing)
    assert float(found) == pytest.approx(reference(LOGITS, SOFT, WEIGHT, smoothing), rel=1e-5)
    one_hot = cross_entropy(LOGITS, F.one_hot(LABELS, 4).float(), WEIGHT, smoothing)
    torch.testing.assert_close(one_hot, cross_entropy(LOGITS, LABELS, WEIGHT, smoothing))
    # Two faces with two emotions: -2 (2 * 0.25 * log 0.5 + 1 * 0.75 * log 0.5) / (2 (0.5 + 0.75)).
    even = cross_entropy(torch.zeros(2, 2), torch.tensor([[0.25, 0.75]] * 2), torch.tensor([2.0, 1.0]))
    assert float(even) == pytest.approx(np.log(2))


def test_l1_covers_trainable_matrices() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    model[3].weight.requires_grad_(False)
    penalty = l1_penalty(model)
    assert penalty.item() == pytest.approx(model[0].weight.detach().abs().sum().item(), rel=1e-6)
    penalty.backward()
    assert torch.equal(model[0].weight.grad, model[0].weight.sign())
    assert all(p.grad is None for p in (model[0].bias, model[1].weight, model[3].weight, model[3].bias))
    assert float(l1_penalty(nn.BatchNorm2d(2))) == 0.0


def test_class_weights() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [3] * 1)
    # N = 10, 4 classes: 10 / (4 * 6), 10 / (4 * 3), none, 10 / (4 * 1)
    torch.testing.assert_close(class_weights(labels, 4), torch.tensor([10 / 24, 10 / 12, 0.0, 2.5]))
    torch.testing.assert_close(class_weights(torch.arange(5), 5), torch.ones(5))


def test_class_weights_of_votes() -> None:
    soft = torch.tensor([[0.5, 0.5, 0, 0], [0.9, 0.1, 0, 0], [1, 0, 0, 0], [0, 0.8, 0.2, 0]])
    # N = 4, 4 classes: 1 / 2.4, 1 / 1.4, 1 / max(0.2, 1), none
    torch.testing.assert_close(class_weights(soft, 4), torch.tensor([1 / 2.4, 1 / 1.4, 1.0, 0.0]))
    labels = torch.tensor([0] * 6 + [1] * 3 + [3] * 1)
    assert torch.equal(class_weights(F.one_hot(labels, 4).float(), 4), class_weights(labels, 4))


# --- focal loss ---


def test_focal_loss_by_hand() -> None:
    # Probabilities of the labels: 0.9 and 0.4.
    logits = torch.tensor([[0.9, 0.1], [0.6, 0.4]], dtype=torch.float64).log()
    easy, hard = 0.1**2 * -math.log(0.9), 0.6**2 * -math.log(0.4)
    labels = torch.tensor([0, 1])
    assert float(focal_loss(logits, labels, 2)) == pytest.approx((easy + hard) / 2)
    weight = torch.tensor([1.0, 3.0], dtype=torch.float64)
    assert float(focal_loss(logits, labels, 2, weight)) == pytest.approx((easy + 3 * hard) / 4)


def test_focal_loss_of_soft_targets_by_hand() -> None:
    logits = torch.tensor([[0.9, 0.1]], dtype=torch.float64).log()
    targets = torch.tensor([[0.75, 0.25]], dtype=torch.float64)
    p_t = 0.75 * 0.9 + 0.25 * 0.1
    entropy = -0.75 * math.log(0.9) - 0.25 * math.log(0.1)
    assert float(focal_loss(logits, targets, 2)) == pytest.approx((1 - p_t) ** 2 * entropy)
    smoothed = -(0.9 * 0.75 + 0.05) * math.log(0.9) - (0.9 * 0.25 + 0.05) * math.log(0.1)
    assert float(focal_loss(logits, targets, 2, label_smoothing=0.1)) == pytest.approx((1 - p_t) ** 2 * smoothed)


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_focal_loss_of_one_hot_targets_is_that_of_labels(weight: Tensor | None) -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    soft = F.one_hot(labels, 3).float()
    torch.testing.assert_close(focal_loss(logits, soft, 1.5, weight), focal_loss(logits, labels, 1.5, weight))


@pytest.mark.parametrize("gamma", [0.25, 2.0])
def test_focal_loss_of_certain_faces_has_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0]), gamma).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


# --- logit adjustment ---


def test_logit_offsets_by_hand() -> None:
    found = logit_offsets(torch.tensor([0, 0, 0, 1]), 2, 1.0)
    torch.testing.assert_close(found, torch.tensor([0.75, 0.25]).log())
    torch.testing.assert_close(logit_offsets(torch.tensor([0, 0, 0, 1]), 2, 0.5), found / 2)
    votes = torch.tensor([[0.5, 0.5], [1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    torch.testing.assert_close(logit_offsets(votes, 2, 1.0), found)
    assert logit_offsets(torch.tensor([0, 0]), 2, 1.0).isfinite().all()  # a class that does not occur


def test_logit_adjusted_loss_is_the_pairwise_form() -> None:
    # Menon et al. 2021, equation 10: log(1 + sum over y' of (pi_y' / pi_y)^tau exp(f_y' - f_y)).
    prior, tau, f = (0.75, 0.25), 1.5, (0.3, -0.2)
    expected = math.log(1 + (prior[0] / prior[1]) ** tau * math.exp(f[0] - f[1]))
    logits = torch.tensor([f]) + logit_offsets(torch.tensor([0, 0, 0, 1]), 2, tau)
    assert float(cross_entropy(logits, torch.tensor([1]))) == pytest.approx(expected)
