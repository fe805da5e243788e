"""The loss of the logits as a phase sets it; its parts are in test_losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from fercli.recipes import PhaseSettings
from fercli.training.criterion import Criterion
from fercli.training.losses import class_weights, cross_entropy, focal_loss, logit_offsets

CPU = torch.device("cpu")
TRAINING = torch.tensor([0, 0, 0, 0, 1, 1, 2])
LOGITS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1])
SOFT = F.one_hot(LABELS, 3) * 0.7 + 0.1


def criterion(**settings: Any) -> Criterion:
    return Criterion(PhaseSettings(lr=0.1, **settings), TRAINING, 3, CPU)


@pytest.mark.parametrize("targets", [LABELS, SOFT])
@pytest.mark.parametrize(
    "settings", [{}, {"class_weights": True}, {"label_smoothing": 0.1}, {"class_weights": True, "label_smoothing": 0.1}]
)
def test_off_is_cross_entropy_bit_for_bit(targets: torch.Tensor, settings: dict[str, Any]) -> None:
    weight = class_weights(TRAINING, 3) if settings.get("class_weights") else None
    expected = cross_entropy(LOGITS, targets, weight, settings.get("label_smoothing", 0.0))
    assert torch.equal(criterion(focal=0, logit_adjustment=0, **settings)(LOGITS, targets), expected)


@pytest.mark.parametrize("targets", [LABELS, SOFT])
def test_settings_go_together(targets: torch.Tensor) -> None:
    weight = class_weights(TRAINING, 3)
    found = criterion(focal=2, class_weights=True, label_smoothing=0.1)(LOGITS, targets)
    assert torch.equal(found, focal_loss(LOGITS, targets, 2, weight, 0.1))
    found = criterion(focal=2, logit_adjustment=1)(LOGITS, targets)
    assert torch.equal(found, focal_loss(LOGITS + logit_offsets(TRAINING, 3, 1), targets, 2))


def test_logit_adjustment_by_hand() -> None:
    # One face of class 2, equal logits: the adjusted probabilities are the priors.
    found = criterion(logit_adjustment=1)(torch.zeros(1, 3), torch.tensor([2]))
    assert float(found) == pytest.approx(-float(torch.tensor(1 / 7).log()))
