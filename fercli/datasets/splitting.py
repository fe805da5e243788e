"""Deterministic splits and folds for datasets without them, stratified by emotion and respecting groups.

A group (a person's images, copies of one image) is never divided. If groups are single images, every emotion is
distributed exactly (`stratified`, `round_robin`); if they are persons, each with several emotions, approximately, by a
greedy search (`balanced`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fercli.datasets.duplicates import components

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

SHARES: dict[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Shares for a dataset without splits (as in EmotionNet, section 4.1)."""

VALIDATION: dict[str, float] = {"train": 0.9, "validation": 0.1}
"""Shares for a published train split without a validation split."""

_ROUNDS = 10
_EPSILON = 1e-12
_MAX_REFINED = 2_000
"""Up to this many groups are refined pairwise; with more it is slow, and the greedy result is good enough."""


def groups_of(subjects: Sequence[str], pictures: Sequence[str], photographs: Sequence[str] = ()) -> list[str]:
    """Return the group of each image: images of one person, with equal pixels, or linked by a chain of both share one.

    Args:
        subjects: Person of each image, (N,); empty if unknown.
        pictures: Digest of each image's pixels, (N,).
        photographs: Photograph or film that each image was cropped from, (N,), whose faces are one group too; empty
            texts, or an empty sequence, if unknown.
    """
    photographs = photographs or [""] * len(subjects)
    if not any(subjects) and not any(photographs):
        return list(pictures)
    first: dict[tuple[str, str], int] = {}
    pairs = []
    for position, (subject, picture, photograph) in enumerate(zip(subjects, pictures, photographs, strict=True)):
        for key in (("subject", subject), ("picture", picture), ("photograph", photograph)):
            if key[1]:
                pairs.append((position, first.setdefault(key, position)))
    groups = [str(position) for position in range(len(subjects))]
    for linked in components(len(subjects), (pair for pair in pairs if pair[0] != pair[1])):
        for position in linked:
            groups[position] = str(linked[0])
    return groups


def assign_splits(
    emotions: Sequence[str], subjects: Sequence[str], pictures: Sequence[str], shares: dict[str, float], seed: int
) -> list[str]:
    """Assign a split to each image, grouped by person if any is known, otherwise by equal pixels."""
    share_out = balanced if any(subjects) else stratified
    return share_out(emotions, groups=groups_of(subjects, pictures), shares=shares, seed=seed)


def assign_folds(
    emotions: Sequence[str], subjects: Sequence[str], pictures: Sequence[str], count: int, seed: int
) -> list[str]:
    """Assign a fold, "1" to str(count), to each image, grouped by person if any is known, otherwise by equal pixels.

    Raises:
        ValueError: there are fewer groups than folds.
    """
    groups = groups_of(subjects, pictures)
    if len(set(groups)) < count:
        raise ValueError(f"{len(set(groups))} groups are too few for {count} folds")
    if not any(subjects):
        return round_robin(emotions, groups=groups, count=count, seed=seed)
    shares = {str(number + 1): 1 / count for number in range(count)}
    return balanced(emotions, groups=groups, shares=shares, seed=seed)


def stratified(
    emotions: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    shares: dict[str, float] = SHARES,
    seed: int = 0,
) -> list[str]:
    """Assign a split to each image, stratified by emotion.

    A group (a subject's images, copies of one image) is kept in one split and counted under the emotion of its first
    image. An emotion with at least three groups has at least one in each split.

    Args:
        emotions: Emotion of each image, (N,).
        groups: Group of each image, (N,); None for no groups.
        shares: Share of each split, adding up to 1.
        seed: Seed of the shuffle. The result depends on the order of the images, which must be fixed.

    Returns:
        Split of each image, (N,).
    """
    members = _members(groups if groups is not None else [str(position) for position in range(len(emotions))], emotions)
    by_emotion = _by_emotion(emotions, members)
    splits = [""] * len(emotions)
    names = list(shares)
    for number, emotion in enumerate(sorted(by_emotion)):
        keys = by_emotion[emotion]
        order = np.random.default_rng([seed, number]).permutation(len(keys))
        ends = _ends(len(keys), [shares[name] for name in names])
        start = 0
        for name, end in zip(names, ends, strict=True):
            for key in order[start:end]:
                for position in members[keys[key]]:
                    splits[position] = name
            start = end
    return splits


def round_robin(emotions: Sequence[str], *, groups: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Assign a fold to each image by distributing shuffled groups in turn, emotion by emotion.

    Folds therefore differ by at most one group, for each emotion and in total.
    """
    members = _members(groups, emotions)
    folds = [""] * len(emotions)
    turn = 0
    for number, (_, keys) in enumerate(sorted(_by_emotion(emotions, members).items())):
        for key in np.random.default_rng([seed, number]).permutation(len(keys)):
            for position in members[keys[key]]:
                folds[position] = str(turn % count + 1)
            turn += 1
    return folds


def balanced(
    emotions: Sequence[str], *, groups: Sequence[str], shares: Mapping[str, float], seed: int = 0
) -> list[str]:
    """Assign a split to each image so that every emotion's share approximates the split's, without dividing groups.

    Groups are placed in descending order of size, each where the squared distance from the target shares is smallest
    (emotions are normalised by frequency, so rare ones count as much as frequent ones); then single groups are moved
    and pairs exchanged as long as that reduces the distance. With as many groups as splits, no split is empty.

    Args:
        emotions: Emotion of each image, (N,).
        groups: Group of each image, (N,), with any mixture of emotions.
        shares: Share of each split, adding up to 1.
        seed: Seed of the order among groups of equal size.
    """
    members = _members(groups, emotions)
    if not members:
        return []
    names, kinds = list(shares), {emotion: k for k, emotion in enumerate(sorted(set(emotions)))}
    sizes = np.zeros((len(members), len(kinds)))
    for g, positions in enumerate(members.values()):
        for position in positions:
            sizes[g, kinds[emotions[position]]] += 1
    # One more column for the total, so that splits also have the right size.
    parts = np.hstack([sizes / sizes.sum(0), sizes.sum(1, keepdims=True) / sizes.sum()])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(parts))
    order = order[np.argsort(-sizes[order].sum(1), kind="stable")]
    goal = np.array([shares[name] for name in names])
    placed = _greedy(parts, order, goal)
    if len(parts) <= _MAX_REFINED:
        _refine(parts, placed, goal, order)
    splits = [""] * len(emotions)
    for g, positions in enumerate(members.values()):
        for position in positions:
            splits[position] = names[placed[g]]
    return splits


def _greedy(parts: Floats, order: Places, goal: Floats) -> Places:
    """Return the split of each group, (G,), for their shares of the emotions, (G, E), placing them in `order`."""
    placed = np.zeros(len(parts), np.intp)
    lack = np.repeat(goal[:, None], parts.shape[1], 1)
    held = np.zeros(len(goal), int)
    for done, g in enumerate(order):
        # Placing g in k changes the sum of squares by |lack_k - p|^2 - |lack_k|^2 = |p|^2 - 2 lack_k . p.
        gain = lack @ parts[g]
        if len(order) - done <= (held == 0).sum():
            gain[held > 0] = -np.inf
        k = int(gain.argmax())
        placed[g], lack[k], held[k] = k, lack[k] - parts[g], held[k] + 1
    return placed


def _refine(parts: Floats, placed: Places, goal: Floats, order: Places) -> None:
    """Move groups and exchange pairs of them, in place, while the sum of squares decreases."""
    lack = np.repeat(goal[:, None], parts.shape[1], 1)
    np.subtract.at(lack, placed, parts)
    for _ in range(_ROUNDS):
        before = placed.copy()
        for g in order:
            a = placed[g]
            # Moving an amount d from a to another split changes the sum of squares by
            # 2 (|d|^2 + (lack_a - lack_other) . d), where d is the group itself or, in an exchange, the difference.
            moves = (parts[g] ** 2).sum() + (lack[a] - lack) @ parts[g]
            moves[a] = 0
            k = a if (placed == a).sum() == 1 else moves.argmin()
            differences = parts[g] - parts
            exchanges = ((differences + lack[a] - lack[placed]) * differences).sum(1)
            exchanges[placed == a] = 0
            h = exchanges.argmin()
            if min(moves[k], exchanges[h]) > -_EPSILON:
                continue
            other, gone = (placed[h], differences[h]) if exchanges[h] < moves[k] else (k, parts[g])
            if exchanges[h] < moves[k]:
                placed[h] = a
            placed[g] = other
            lack[a] += gone
            lack[other] -= gone
        if (placed == before).all():
            return


def _members(groups: Sequence[str], emotions: Sequence[str]) -> dict[str, list[int]]:
    """Return the images of each group, in order of first appearance."""
    members: dict[str, list[int]] = defaultdict(list)
    for position in range(len(emotions)):
        members[groups[position]].append(position)
    return members


def _by_emotion(emotions: Sequence[str], members: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """Return the groups by the emotion of their first image."""
    found: dict[str, list[str]] = defaultdict(list)
    for group, positions in members.items():
        found[emotions[positions[0]]].append(group)
    return found


def _ends(total: int, shares: list[float]) -> list[int]:
    """Return the cumulative sizes of the shares of `total`: largest remainders, at least one each if possible."""
    exact = [total * share for share in shares]
    sizes = [int(x) for x in exact]
    for k in sorted(range(len(shares)), key=lambda k: (sizes[k] - exact[k], k))[: total - sum(sizes)]:
        sizes[k] += 1
    if total >= len(sizes):
        for k, size in enumerate(sizes):
            if size == 0:
                sizes[k] += 1
                sizes[max(range(len(sizes)), key=lambda j: sizes[j])] -= 1
    return list(np.cumsum(sizes))
