"""Cutting splits where a data set has none: stratified by emotion, whole groups together, the same every time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

SHARES: dict[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""The shares of a data set that has no splits of its own (EmotionNet, section 4.1, cuts so too)."""


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
    members: dict[str, list[int]] = defaultdict(list)
    for position in range(len(emotions)):
        members[groups[position] if groups is not None else str(position)].append(position)
    by_emotion: dict[str, list[str]] = defaultdict(list)
    for group, positions in members.items():
        by_emotion[emotions[positions[0]]].append(group)

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
