"""Reliability balancing: its equations on computed values, and properties for any distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fercli.models.reliability import (
    ReliabilityBalancing,
    TokenAttention,
    anchor_distances,
    balance,
    center_loss,
    confidence,
    correction,
    similarity,
    spread_loss,
)

CONFIDENCE_75 = 1 - (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(2)  # 0.18872
"""Confidence of the distribution (3/4, 1/4)."""


@st.composite
def distributions(draw: st.DrawFn, count: int = 1) -> list[Tensor]:
    """Draw distributions over the same 2 to 8 classes, including uniform, one-hot and nearly one-hot ones."""
    classes = draw(st.integers(2, 8))
    found = []
    for _ in range(count):
        logits = draw(st.lists(st.floats(-60, 60, width=32), min_size=classes, max_size=classes))
        found.append((torch.tensor(logits) * draw(st.sampled_from([0, 0.01, 1, 10]))).softmax(0))
    return found


# --- the equations ---


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([0.5, 0.5], 0),
        ([1, 0], 1),
        ([0, 0, 0, 1, 0], 1),
        ([0.2] * 5, 0),
        ([0.75, 0.25], 0.188722),
        ([0.5, 0.25, 0.25], 0.053605),  # 1 - 1.5 bits / log2(3) bits
        ([0.5, 0.5, 0, 0], 0.5),  # 1 - 1 bit / 2 bits
    ],
)
def test_confidence(p: list[float], expected: float) -> None:
    assert confidence(torch.tensor(p)).item() == pytest.approx(expected, abs=1e-6)


def test_similarity() -> None:
    g = similarity(torch.tensor([[[1.0, 2.0], [3.0, 1.0]], [[5.0, 5.0], [5.0, 5.0]]]))
    total = math.exp(-1) + math.exp(-2) + math.exp(-3) + math.exp(-1)
    near = (math.exp(-1) + math.exp(-2)) / total
    torch.testing.assert_close(g, torch.tensor([[near, 1 - near], [0.5, 0.5]]))


def test_correction() -> None:
    g, a = torch.tensor([[0.75, 0.25], [0.75, 0.25], [0.5, 0.5]]), torch.tensor([[0.0, 1.0], [0.25, 0.75], [0.5, 0.5]])
    first = 0.75 * CONFIDENCE_75 / (CONFIDENCE_75 + 1)  # a is certain of the second
    torch.testing.assert_close(
        correction(g, a), torch.tensor([[first, 1 - first], [0.5, 0.5], [0.5, 0.5]]), rtol=0, atol=2e-6
    )


def test_balance() -> None:
    q = balance(torch.tensor([0.75, 0.25]), torch.tensor([0.2, 0.8]))
    first = CONFIDENCE_75 * 0.75 + (1 - CONFIDENCE_75) * 0.2  # 0.30380
    torch.testing.assert_close(q, torch.tensor([first, 1 - first]))
    assert q[0].item() == pytest.approx(0.303797, abs=1e-6)


def test_anchor_distances_are_euclidean() -> None:
    embedding, anchors = (
        torch.tensor([[0.0, 0.0], [3.0, 4.0]]),
        torch.tensor([[[0.0, 0.0], [3.0, 0.0]], [[0, 4], [6, 8]]]),
    )
    expected = torch.tensor([[[0.0, 3.0], [4.0, 10.0]], [[5.0, 4.0], [3.0, 5.0]]])
    torch.testing.assert_close(anchor_distances(embedding, anchors), expected)


# --- properties for any distribution ---


@pytest.mark.slow
@given(distributions(2))
def test_balance_and_correction_are_distributions(pair: list[Tensor]) -> None:
    p, r = pair
    for found in (balance(p, r), correction(p, r)):
        assert found.min() >= 0
        assert found.sum().item() == pytest.approx(1, abs=1e-5)
        assert bool((found <= torch.maximum(p, r) + 1e-6).all())  # between the two
        assert bool((found >= torch.minimum(p, r) - 1e-6).all())


@given(distributions())
def test_confidence_is_between_uniform_and_one_hot(one: list[Tensor]) -> None:
    (p,) = one
    assert 0 <= confidence(p).item() <= 1 + 1e-6
    assert confidence(p.flip(0)).item() == pytest.approx(confidence(p).item(), abs=1e-6)
    softened = 0.5 * p + 0.5 / len(p)
    assert confidence(softened).item() <= confidence(p).item() + 1e-6


@given(distributions(), st.integers(0, 7))
def test_certain_predictions_are_kept_and_uniform_ones_replaced(one: list[Tensor], place: int) -> None:
    (r,) = one
    certain = torch.zeros_like(r)
    certain[place % len(r)] = 1
    torch.testing.assert_close(balance(certain, r), certain, rtol=0, atol=1e-6)
    torch.testing.assert_close(balance(torch.full_like(r, 1 / len(r)), r), r, rtol=0, atol=1e-5)


@pytest.mark.slow
@given(distributions(2))
def test_more_confident_distribution_has_more_weight(pair: list[Tensor]) -> None:
    g, a = pair
    r = correction(g, a)
    torch.testing.assert_close(r, correction(a, g))
    if confidence(g) > confidence(a) + 1e-3:
        assert (r - g).abs().sum() <= (r - a).abs().sum() + 1e-6


def test_gradients_are_finite_at_the_boundaries() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    p = logits.softmax(1)
    (confidence(p).sum() + balance(p, p.flip(1))[:, 0].sum() + correction(p, p.flip(1))[:, 1].sum()).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


# --- losses ---


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, -4.0),  # 4 values differ by 1; both ways 8; over sqrt(4)
        (2, -2.0),  # 8 values, both ways 16, over 2^2 sqrt(4)
    ],
)
def test_spread_loss(count: int, expected: float) -> None:
    anchors = torch.stack([torch.zeros(count, 4), torch.ones(count, 4)])
    assert spread_loss(anchors).item() == pytest.approx(expected)
    assert spread_loss(3 * anchors).item() == pytest.approx(9 * expected)
    assert spread_loss(anchors + 5).item() == pytest.approx(expected)  # translation-invariant
    three = torch.cat([anchors, 2 * torch.ones(1, count, 4)])
    assert spread_loss(three).item() == pytest.approx((1 + 1 + 4) * expected)


def test_center_loss() -> None:
    distances = torch.tensor([[[4.0, 2.0], [1.0, 8.0]], [[6.0, 9.0], [3.0, 5.0]]])
    confidences = torch.tensor([0.5, 1.0])
    # The distance to the nearest anchor of its class is 2 for the first face, 3 for the second; E = 16.
    expected = (2 * 0.5 + 3 * 1.0) / 2 / 4
    assert center_loss(distances, torch.tensor([0, 1]), confidences, 16).item() == pytest.approx(expected)
    assert center_loss(distances, torch.eye(2), confidences, 16).item() == pytest.approx(expected)
    soft = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    mixed = ((0.75 * 2 + 0.25 * 1) * 0.5 + 3) / 2 / 4
    assert center_loss(distances, soft, confidences, 16).item() == pytest.approx(mixed)


# --- attention and balancing ---


def test_token_attention_matches_its_equation() -> None:
    torch.manual_seed(0)
    block, embedding, tokens = TokenAttention(6, 3), torch.randn(2, 6), torch.randn(2, 5, 6)
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in block.state_dict().items()}
    assert set(state) == {"query.weight", "query.bias", "key.weight", "value.weight", "value.bias"}
    for e, t, found in zip(embedding.double().numpy(), tokens.double().numpy(), block(embedding, tokens), strict=True):
        query = state["query.weight"] @ e + state["query.bias"]
        scores = np.exp(t @ state["key.weight"].T @ query / np.sqrt(3))
        weights = scores / scores.sum()
        logits = weights @ (t @ state["value.weight"].T + state["value.bias"])
        np.testing.assert_allclose(found.detach().numpy(), np.exp(logits) / np.exp(logits).sum(), atol=1e-6)


def faces(count: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Return random logits, embeddings and tokens."""
    generator = torch.Generator().manual_seed(3)
    shapes = ((count, 3), (count, 6), (count, 5, 6))
    logits, embedding, tokens = (torch.randn(shape, generator=generator) for shape in shapes)
    return logits, embedding, tokens


def balancing(trust_steps: int = 4) -> ReliabilityBalancing:
    torch.manual_seed(1)
    module = ReliabilityBalancing(6, 3, anchors=2, trust_steps=trust_steps)
    with torch.no_grad():
        module.anchors.mul_(50)
    return module


def test_trust_increases_from_0_to_1() -> None:
    module, (logits, embedding, tokens) = balancing(4), faces()
    targets, seen = torch.tensor([0, 1, 2, 0]), []
    p = logits.softmax(1)
    r = correction(
        similarity(anchor_distances(embedding, module.anchors)), module.attention(embedding, tokens)
    ).detach()
    for _ in range(6):
        seen.append(module.trust().item())
        found, loss = module.training_forward(logits, embedding, tokens, targets)
        mixed = (1 - seen[-1]) * p + seen[-1] * balance(p, r)
        torch.testing.assert_close(found.exp(), mixed, rtol=0, atol=1e-6)
        assert (loss.item() == 0) == (seen[-1] == 0)
    assert seen == [0, 0.25, 0.5, 0.75, 1, 1]
    assert balancing(0).trust() == 1
    assert (p - balance(p, r)).abs().max() > 0.05  # otherwise the test would prove nothing


def test_training_loss_is_trust_times_spread_and_center_loss() -> None:
    module, (logits, embedding, tokens) = balancing(4), faces()
    targets = torch.tensor([0, 1, 2, 0])
    module.steps.fill_(2)
    _, loss = module.training_forward(logits, embedding, tokens, targets)
    distances = anchor_distances(embedding, module.anchors)
    expected = spread_loss(module.anchors) + center_loss(distances, targets, confidence(logits.softmax(1)), 6)
    torch.testing.assert_close(loss, 0.5 * expected)


def test_steps_are_saved_and_not_counted_in_evaluation() -> None:
    module, (logits, embedding, tokens) = balancing(4), faces()
    module.training_forward(logits, embedding, tokens, torch.tensor([0, 1, 2, 0]))
    module(logits, embedding, tokens)
    assert module.state_dict()["steps"] == 1
    other = balancing(4)
    other.load_state_dict(module.state_dict())
    assert other.trust() == 0.25


def test_logits_are_log_probabilities_even_for_impossible_classes() -> None:
    module, (_, embedding, tokens) = balancing(0), faces(2)
    logits = torch.tensor([[300.0, -300.0, 0.0], [0.0, 1.0, 2.0]], requires_grad=True)
    found = module(logits, embedding, tokens)
    assert found.isfinite().all()
    torch.testing.assert_close(found.logsumexp(1), torch.zeros(2), rtol=0, atol=1e-6)
    found[:, 1].sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_balancing_is_independent_of_the_batch() -> None:
    module, (logits, embedding, tokens) = balancing(0), faces()
    together = module(logits, embedding, tokens)
    for k in range(4):
        alone = module(logits[k : k + 1], embedding[k : k + 1], tokens[k : k + 1])
        torch.testing.assert_close(alone, together[k : k + 1])


def test_anchors_are_initialised_apart() -> None:
    torch.manual_seed(0)
    anchors = ReliabilityBalancing(768, 7).anchors
    assert anchors.shape == (7, 10, 768)
    rows = anchors.detach().flatten(0, 1)
    assert torch.pdist(rows).min() > 0.5
