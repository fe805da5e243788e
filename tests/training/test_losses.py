"""The loss, compared with torch's where they overlap, and with its definition otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.training.losses import class_weights, cross_entropy, l1_penalty

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
