"""Labels that are wrong on purpose, to measure how well a training copes with wrong labels.

The noise is symmetric: a share of the faces gets another emotion, each of the others with equal probability.
(Annotators err differently: fear is taken for surprise rather than for happiness.) Which faces, and which emotions,
depends on the seed and the pixels alone. So every model gets the same wrong labels, and the faces of a rate are among
those of a higher one, with the same emotions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fercli.datasets.duplicates import ancestors
from fercli.datasets.index import Row
from fercli.datasets.votes import format_votes, parse_votes
from fercli.errors import UsageError

_TRAIN = "train"


@dataclass(frozen=True)
class LabelNoise:
    """Symmetric label noise.

    Attributes:
        rate: Share of the training faces whose label is swapped, at least 0 and below 1.
        seed: Seed of the draw.
        packed: Whether the labels were swapped when the faces were packed, so that a training only records it.
    """

    rate: float
    seed: int
    packed: bool = False

    def options(self) -> dict[str, Any]:
        """Return what a manifest records; nothing without noise."""
        return {"noise": self.rate, "noise_seed": self.seed} if self.rate else {}

    def swap(self, labels: Sequence[int], digests: Sequence[str]) -> list[int]:
        """Return labels of which `rate` x N, rounded, are swapped for another label that occurs.

        Args:
            labels: The label of each face, (N,).
            digests: The digest of each face's pixels, (N,).

        Raises:
            UsageError: there is only one label.
        """
        present, noisy = sorted(set(labels)), list(labels)
        count = round(self.rate * len(noisy))
        if count and len(present) < 2:
            raise UsageError("noise: needs training images of at least two emotions")
        draws = [hashlib.sha256(f"{self.seed} {digest}".encode()).digest() for digest in digests]
        for i in sorted(range(len(noisy)), key=draws.__getitem__)[:count]:
            others = [label for label in present if label != labels[i]]
            # The order is decided by the first bytes, so the last ones are independent of it.
            noisy[i] = others[int.from_bytes(draws[i][16:], "big") % len(others)]
        return noisy


def noisy_rows(rows: Sequence[Row], emotions: Sequence[str], noise: LabelNoise) -> list[Row]:
    """Return rows with swapped emotions in train; validation and test stay as they are.

    An augmented image has the emotion of its original, or it would tell the right one. With votes, the shares of the
    two emotions are exchanged.

    Args:
        rows: Labelled rows in their splits.
        emotions: The dataset's emotions in order.
        noise: The noise.

    Raises:
        UsageError: there is only one emotion.
    """
    if not noise.rate:
        return list(rows)
    lines = ancestors(rows)
    train = [i for i, row in enumerate(rows) if row.split == _TRAIN]
    originals = [i for i in train if i not in lines]
    labels = [emotions.index(rows[i].emotion) for i in originals]
    swapped = noise.swap(labels, [rows[i].sha256 for i in originals])
    new = {i: emotions[label] for i, label, old in zip(originals, swapped, labels, strict=True) if label != old}
    found = list(rows)
    for i in train:
        original = lines[i][-1] if i in lines else i
        if original in new:
            found[i] = _relabelled(rows[i], new[original], emotions)
    return found


def _relabelled(row: Row, emotion: str, emotions: Sequence[str]) -> Row:
    if not row.votes:
        return replace(row, emotion=emotion)
    shares = dict(zip(emotions, parse_votes(row.votes, emotions), strict=True))
    shares[row.emotion], shares[emotion] = shares[emotion], shares[row.emotion]
    return replace(row, emotion=emotion, votes=format_votes(shares))
