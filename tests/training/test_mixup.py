"""MixUp and CutMix, compared with their definitions, with randomness only from the generator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fercli.recipes import Settings
from fercli.training.mixup import MixupCutmix

LABELS = torch.tensor([0, 1, 2, 3, 4, 5, 6, 0])
FACES = torch.rand(8, 1, 12, 16, generator=torch.Generator().manual_seed(5))


def mix(faces: Tensor = FACES, labels: Tensor = LABELS, seed: int = 0, **alphas: float) -> tuple[Tensor, Tensor]:
    mixing = MixupCutmix(Settings(lr=1, **alphas), 7)
    return mixing(faces, labels, mixing.draw(torch.Generator().manual_seed(seed)))


def shares(targets: Tensor) -> Tensor:
    """Return the share of each face itself; the rest belongs to the face before it."""
    own = targets[torch.arange(1, 7), LABELS[1:7]]
    rest = targets[torch.arange(1, 7), LABELS[:6]]
    torch.testing.assert_close(own + rest, torch.ones(6))
    torch.testing.assert_close(targets.sum(1), torch.ones(8))
    return own


def test_disabled_mixing_changes_nothing_and_uses_no_random_numbers() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    mixing = MixupCutmix(Settings(lr=1), 7)
    faces, targets = mixing(FACES, LABELS, mixing.draw(generator))
    assert not mixing.enabled
    assert faces is FACES
    assert targets is LABELS
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("seed", range(5))
def test_mixup(seed: int) -> None:
    faces, targets = mix(mixup=1.0, seed=seed)
    share = shares(targets)
    assert torch.allclose(share, share[:1])  # one ratio per batch
    torch.testing.assert_close(faces, share[0] * FACES + (1 - share[0]) * FACES.roll(1, 0))


@pytest.mark.parametrize("seed", range(10))
def test_cutmix(seed: int) -> None:
    faces, targets = mix(cutmix=1.0, seed=seed)
    pasted = (faces != FACES)[:, 0]
    assert torch.equal(torch.where(pasted[:, None], FACES.roll(1, 0), FACES), faces)
    assert all(torch.equal(one, pasted[0]) for one in pasted)
    rows, columns = pasted[0].any(1), pasted[0].any(0)
    assert torch.equal(pasted[0], rows[:, None] & columns[None])
    assert int(rows.diff().sum()) <= 2
    assert int(columns.diff().sum()) <= 2
    torch.testing.assert_close(shares(targets), torch.full((6,), 1 - float(pasted[0].float().mean())))


def test_soft_targets_are_mixed_too() -> None:
    soft = F.one_hot(LABELS, 7).float()
    for alphas in ({"mixup": 0.4}, {"cutmix": 0.4}):
        from_labels, from_soft = mix(**alphas), mix(labels=soft, **alphas)
        assert torch.equal(from_labels[0], from_soft[0])
        torch.testing.assert_close(from_labels[1], from_soft[1])


@pytest.mark.slow
def test_ratios_have_a_beta_distribution() -> None:
    generator, mixing = torch.Generator().manual_seed(0), MixupCutmix(Settings(lr=1, mixup=0.5), 7)
    ratios = torch.stack([shares(mixing(FACES, LABELS, mixing.draw(generator))[1])[0] for _ in range(800)])
    # Beta(1/2, 1/2): mean 1/2, variance 1 / (4 (2 alpha + 1)) = 1/8. Four standard errors.
    assert abs(float(ratios.mean()) - 0.5) < 4 * (0.125 / 800) ** 0.5
    assert abs(float(ratios.var()) - 0.125) < 0.018


def test_both_are_equally_likely() -> None:
    generator, mixing = torch.Generator().manual_seed(0), MixupCutmix(Settings(lr=1, mixup=1, cutmix=1), 7)
    cut = [bool(((faces == FACES) | (faces == FACES.roll(1, 0))).all()) for faces in batches(mixing, generator, 400)]
    assert abs(sum(cut) / 400 - 0.5) < 0.1  # four standard errors


def batches(mixing: MixupCutmix, generator: torch.Generator, count: int) -> Any:
    return (mixing(FACES, LABELS, mixing.draw(generator))[0] for _ in range(count))


@pytest.mark.parametrize("alphas", [{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}], ids=str)
def test_results_depend_on_the_generator_and_global_state_is_restored(alphas: dict[str, float]) -> None:
    torch.manual_seed(3)
    undisturbed = torch.rand(4)
    torch.manual_seed(3)
    first = mix(**alphas)
    assert torch.equal(torch.rand(4), undisturbed)
    torch.manual_seed(99)  # independent of torch's global state
    again = mix(**alphas)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(mix(seed=1, **alphas)[1], first[1])
