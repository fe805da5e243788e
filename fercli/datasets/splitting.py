"""Cutting splits and folds where a data set has none: alike by emotion, whole groups together, the same every time.

A group (a person's images, copies of one picture) is never cut apart. Where groups are single pictures every emotion is
shared out exactly (`stratified`, `dealt`); where they are persons, each with several emotions, the closest to it that a
greedy search finds (`balanced`).
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
"""The shares of a data set that has no splits of its own (EmotionNet, section 4.1, cuts so too)."""

VALIDATION: dict[str, float] = {"train": 0.9, "validation": 0.1}
"""The shares of a published train split that has no validation split beside it."""

_ROUNDS = 10
_LEAST = 1e-12
_IMPROVED = 2_000
"""So many groups are improved pair by pair: more make it slow, and are shared out well without."""


def groups_of(subjects: Sequence[str], pictures: Sequence[str]) -> list[str]:
    """Return a group for each image: those of one person, or of equal pixels, or linked by a chain of both, share one.

    Args:
        subjects: Person of each image, (N,); empty where not known.
        pictures: Digest of each image's pixels, (N,).
    """
    if not any(subjects):
        return list(pictures)
    first: dict[tuple[str, str], int] = {}
    pairs = []
    for position, (subject, picture) in enumerate(zip(subjects, pictures, strict=True)):
        for key in (("subject", subject), ("picture", picture)):
            if key[1]:
                pairs.append((position, first.setdefault(key, position)))
    groups = [str(position) for position in range(len(subjects))]
    for linked in components(len(subjects), (pair for pair in pairs if pair[0] != pair[1])):
        for position in linked:
            groups[position] = str(linked[0])
    return groups


def cut(
    emotions: Sequence[str], subjects: Sequence[str], pictures: Sequence[str], shares: dict[str, float], seed: int
) -> list[str]:
    """Assign a split to each image: by person where any is known, else by picture."""
    share_out = balanced if any(subjects) else stratified
    return share_out(emotions, groups=groups_of(subjects, pictures), shares=shares, seed=seed)


def cut_folds(
    emotions: Sequence[str], subjects: Sequence[str], pictures: Sequence[str], count: int, seed: int
) -> list[str]:
    """Assign a fold, "1" to str(count), to each image: by person where any is known, else by picture.

    Raises:
        ValueError: there are fewer groups than folds.
    """
    groups = groups_of(subjects, pictures)
    if len(set(groups)) < count:
        raise ValueError(f"{len(set(groups))} groups make no {count} folds")
    if not any(subjects):
        return dealt(emotions, groups=groups, count=count, seed=seed)
    shares = {str(number + 1): 1 / count for number in range(count)}
    return balanced(emotions, groups=groups, shares=shares, seed=seed)


def stratified(
    emotions: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    shares: dict[str, float] = SHARES,
    seed: int = 0,
) -> list[str]:
    """Assign a split to each image so that every emotion is shared out alike.

    Groups (a subject's images, copies of one picture) go whole into one split, under the emotion of their first image.
    An emotion of at least three groups has at least one in each split.

    Args:
        emotions: Emotion of each image, (N,).
        groups: Group of each image, (N,); None: each its own.
        shares: Share of each split, adding up to 1.
        seed: Of the shuffle. It depends on the order of the images, so give them in a fixed order.

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


def dealt(emotions: Sequence[str], *, groups: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Assign a fold to each image by dealing shuffled groups out in turn, emotion after emotion.

    So no two folds differ by more than one group, of any emotion and in all.
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
    """Assign a split to each image so that every emotion's share in it is about the split's, whole groups together.

    Large groups are placed first, each where the squared distance from the shares then is least (an emotion counts by
    its share, so a rare one as much as a frequent one); then single groups are moved, and pairs exchanged, as long as
    that brings it nearer. With as many groups as splits, each split has one.

    Args:
        emotions: Emotion of each image, (N,).
        groups: Group of each image, (N,), of any mixture of emotions.
        shares: Share of each split, adding up to 1.
        seed: Of the order among equally large groups.
    """
    members = _members(groups, emotions)
    if not members:
        return []
    names, kinds = list(shares), {emotion: k for k, emotion in enumerate(sorted(set(emotions)))}
    sizes = np.zeros((len(members), len(kinds)))
    for g, positions in enumerate(members.values()):
        for position in positions:
            sizes[g, kinds[emotions[position]]] += 1
    # One more column for all emotions together: folds of equal size, whatever the emotions.
    parts = np.hstack([sizes / sizes.sum(0), sizes.sum(1, keepdims=True) / sizes.sum()])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(parts))
    order = order[np.argsort(-sizes[order].sum(1), kind="stable")]
    goal = np.array([shares[name] for name in names])
    placed = _greedy(parts, order, goal)
    if len(parts) <= _IMPROVED:
        _improve(parts, placed, goal, order)
    splits = [""] * len(emotions)
    for g, positions in enumerate(members.values()):
        for position in positions:
            splits[position] = names[placed[g]]
    return splits


def _greedy(parts: Floats, order: Places, goal: Floats) -> Places:
    """Return the split of each group: (G, E) shares of the emotions to (G,), the groups placed in `order`."""
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


def _improve(parts: Floats, placed: Places, goal: Floats, order: Places) -> None:
    """Move groups and exchange pairs of them, in place, while the sum of squares falls."""
    lack = np.repeat(goal[:, None], parts.shape[1], 1)
    np.subtract.at(lack, placed, parts)
    for _ in range(_ROUNDS):
        before = placed.copy()
        for g in order:
            a = placed[g]
            # What leaves a for another split, d, changes the sum of squares by 2 (|d|^2 + (lack_a - lack_other) . d): a
            # move takes the group itself away, an exchange its difference from the other.
            moves = (parts[g] ** 2).sum() + (lack[a] - lack) @ parts[g]
            moves[a] = 0
            k = a if (placed == a).sum() == 1 else moves.argmin()
            differences = parts[g] - parts
            exchanges = ((differences + lack[a] - lack[placed]) * differences).sum(1)
            exchanges[placed == a] = 0
            h = exchanges.argmin()
            if min(moves[k], exchanges[h]) > -_LEAST:
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
    """Return the images of each group, groups in order of first appearance."""
    members: dict[str, list[int]] = defaultdict(list)
    for position in range(len(emotions)):
        members[groups[position]].append(position)
    return members


def _by_emotion(emotions: Sequence[str], members: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """Return the groups under the emotion of their first image."""
    found: dict[str, list[str]] = defaultdict(list)
    for group, positions in members.items():
        found[emotions[positions[0]]].append(group)
    return found


def _ends(total: int, shares: list[float]) -> list[int]:
    """Return where each share of `total` ends: largest remainders, at least one each where there are enough."""
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
