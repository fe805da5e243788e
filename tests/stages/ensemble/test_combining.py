"""Combining predictions and selecting members, by hand and against brute force."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.stages.ensemble.combining import TIE, combine, losses, select_members, weigh

METHODS = ("mean", "weighted", "vote")


def random_members(seed: int, members: int, images: int = 30, classes: int = 4, skill: float = 1.0) -> np.ndarray:
    """Return members' probabilities (K, N, C); the labels of `truth` are more probable by `skill`."""
    logits = np.random.default_rng(seed).normal(size=(members, images, classes))
    logits += skill * np.eye(classes)[truth(images, classes)]
    return np.exp(logits) / np.exp(logits).sum(2, keepdims=True)


def truth(images: int = 30, classes: int = 4) -> np.ndarray:
    return np.arange(images) % classes


def accuracy(method: str, members: np.ndarray, chosen: list[int]) -> float:
    labels = truth(members.shape[1])
    combined = combine(method, members, weigh(method, members, labels, chosen))
    return float((combined.argmax(1) == labels).mean())


def test_means_by_hand() -> None:
    members = np.array([[[0.6, 0.4], [1, 0]], [[0.2, 0.8], [0.5, 0.5]], [[0, 1], [0, 1]]])
    half = np.array([0.5, 0.5, 0])
    np.testing.assert_allclose(combine("mean", members, half), [[0.4, 0.6], [0.75, 0.25]])
    np.testing.assert_allclose(combine("weighted", members, np.array([0.25, 0.75, 0])), [[0.3, 0.7], [0.625, 0.375]])


def test_votes_by_hand() -> None:
    def face(*rows: list[float]) -> np.ndarray:
        return np.array(rows)[:, None, :]

    clear = face([0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0, 0.01, 0.99])  # two votes beat one, however confident
    tied = face([0.5, 0.3, 0.2], [0.1, 0.3, 0.6], [0.2, 0.45, 0.35])  # one each; means 0.27, 0.35, 0.38
    lower = face([0.6, 0.4, 0], [0.6, 0.4, 0], [0, 0.45, 0.55], [0, 0.4, 0.6])  # two each, the middle's mean is highest
    third = np.full(3, 1 / 3)
    np.testing.assert_allclose(combine("vote", clear, third), [[2 / 3, 0, 1 / 3]])
    share = (1 - TIE) / 3
    np.testing.assert_allclose(combine("vote", tied, third), [[share, share, share + TIE]])
    combined = combine("vote", lower, np.full(4, 0.25))
    np.testing.assert_allclose(combined, [[(1 - TIE) / 2 + TIE, 0, (1 - TIE) / 2]])


@given(st.integers(0, 10**6), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_a_vote_is_the_majority(seed: int, number: int) -> None:
    members = random_members(seed, number, skill=0)
    combined = combine("vote", members, np.full(number, 1 / number))
    np.testing.assert_allclose(combined.sum(1), 1)
    for image, row in enumerate(combined):
        votes = Counter(int(member[image].argmax()) for member in members)
        most = max(votes.values())
        tied = [emotion for emotion, count in votes.items() if count == most]
        expected = max(tied, key=lambda emotion: members[:, image, emotion].mean())
        assert row.argmax() == expected
        assert float(f"{row[expected]:.6f}") > max(float(f"{v:.6f}") for k, v in enumerate(row) if k != expected)
        assert row == pytest.approx([votes[k] / number for k in range(len(row))], abs=TIE)


@pytest.mark.parametrize("method", METHODS)
def test_members_of_weight_zero_are_ignored(method: str) -> None:
    members = random_members(1, 4)
    weights = weigh(method, members, truth(), [0, 2])
    assert weights[[1, 3]].tolist() == [0, 0]
    assert weights.sum() == pytest.approx(1)
    two = members[[0, 2]]
    np.testing.assert_allclose(combine(method, members, weights), combine(method, two, weights[[0, 2]]))


@pytest.mark.parametrize("method", ["mean", "vote"])
def test_equal_weights_ignore_the_labels(method: str) -> None:
    members = random_members(1, 3)
    assert np.array_equal(weigh(method, members, truth()[::-1], [0, 1]), weigh(method, members, truth(), [0, 1]))


def test_fitted_weights_depend_on_the_labels() -> None:
    members = np.concatenate([random_members(3, 1, skill=4), random_members(4, 2, skill=0)])
    weights = weigh("weighted", members, truth(), [0, 1, 2])
    assert weights[0] > 0.8
    assert not np.allclose(weigh("weighted", members, np.roll(truth(), 1), [0, 1, 2]), weights)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_selection_adds_the_most_helpful_member(method: str, seed: int) -> None:
    members = random_members(seed, 5, images=60, skill=0.7)
    chosen: list[int] = []
    path = []
    while len(chosen) < 5:
        left = [k for k in range(5) if k not in chosen]
        found = [accuracy(method, members, [*chosen, k]) for k in left]
        path.append(max(found))
        # Ties are broken by the loss, so that the next member is unknown here.
        reachable = [k for k, value in zip(left, found, strict=True) if value == max(found)]
        added = reachable[0] if len(reachable) == 1 else None
        if added is None:
            break
        chosen.append(added)
    result = select_members(method, members, truth(60))
    assert accuracy(method, members, result) >= max(path)
    assert accuracy(method, members, result) >= max(accuracy(method, members, [k]) for k in range(5))
    if len(path) == 5:
        assert len(result) == path.index(max(path)) + 1


@pytest.mark.parametrize("method", METHODS)
def test_useless_members_are_not_selected(method: str) -> None:
    right = np.eye(4)[truth()] * 0.96 + 0.01
    wrong = np.roll(right, 1, axis=1)
    assert select_members(method, np.stack([wrong, right, wrong]), truth()) == [1]
    assert select_members(method, np.stack([right, right, right]), truth()) == [0]


def test_complementary_members_are_selected_together() -> None:
    # Each is certain of two of four emotions and undecided on the others: alone half is right, together all.
    labels = truth()
    certain, undecided = np.eye(4)[labels], np.full((30, 4), 0.25) - 0.01 * np.eye(4)[labels]
    knows = [np.isin(labels, pair)[:, None] for pair in ((0, 1), (2, 3), (0, 1))]
    members = np.stack([np.where(known, certain, undecided) for known in knows])
    assert select_members("mean", members, labels) == [0, 1]


def test_ties_are_broken_by_the_loss_of_the_mean() -> None:
    labels = truth()
    unsure, confident = np.eye(4)[labels] * 0.2 + 0.2, np.eye(4)[labels] * 0.8 + 0.05
    assert select_members("vote", np.stack([unsure, confident]), labels) == [1]


@pytest.mark.parametrize("number", [2, 4])
def test_losses_match_the_labels(number: int) -> None:
    members = random_members(1, number)
    expected = [-np.log(member[np.arange(30), truth()]).mean() for member in members]
    assert losses(members, truth()) == pytest.approx(expected)


def test_order_of_members_only_breaks_ties() -> None:
    """The order of the members only breaks ties."""
    members = random_members(9, 4, images=200, skill=0.8)
    kept = {frozenset(select_members("mean", members, truth(200)))}
    for a, b in combinations(range(4), 2):
        order = list(range(4))
        order[a], order[b] = order[b], order[a]
        kept.add(frozenset(order[k] for k in select_members("mean", members[order], truth(200))))
    assert len(kept) == 1
