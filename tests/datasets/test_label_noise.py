from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fercli.datasets.index import Row
from fercli.datasets.label_noise import LabelNoise, noisy_rows
from fercli.errors import UsageError

EMOTIONS = ["angry", "happy", "sad", "fear"]
LABELS = [i % 4 for i in range(2000)]
DIGESTS = [f"{i:064x}" for i in range(2000)]


def row(number: int, split: str = "train", emotion: str = "angry", **values: Any) -> Row:
    empty = dict.fromkeys(Row.__dataclass_fields__, "")
    path = f"{split}/{emotion}/{number:03d}.png"
    own = {"path": path, "split": split, "emotion": emotion, "sha256": f"{number:064x}", "origin": "real"}
    return Row(**{**empty, **own, **values})


def test_a_share_gets_another_label_uniformly() -> None:
    found = LabelNoise(0.3, 0).swap(LABELS, DIGESTS)
    swapped = [(old, new) for old, new in zip(LABELS, found, strict=True) if old != new]
    assert len(swapped) == 600
    counts = Counter(swapped)
    assert len(counts) == 12  # each emotion to each other one
    assert min(counts.values()) > 25
    assert max(counts.values()) < 80
    assert LabelNoise(0.0, 0).swap(LABELS, DIGESTS) == LABELS


def test_rates_are_nested_and_seeds_differ() -> None:
    low, high, other = (LabelNoise(*given).swap(LABELS, DIGESTS) for given in ((0.1, 0), (0.2, 0), (0.1, 1)))
    changed = [i for i, (old, new) in enumerate(zip(LABELS, low, strict=True)) if old != new]
    assert len(changed) == 200
    assert all(high[i] == low[i] for i in changed)
    assert low != other


def test_draw_depends_on_the_pixels_not_on_the_order() -> None:
    found = LabelNoise(0.2, 0).swap(LABELS, DIGESTS)
    assert LabelNoise(0.2, 0).swap(LABELS[::-1], DIGESTS[::-1]) == found[::-1]


def test_only_labels_that_occur_and_at_least_two() -> None:
    assert set(LabelNoise(0.9, 0).swap([1, 3] * 20, DIGESTS[:40])) == {1, 3}
    with pytest.raises(UsageError, match="noise: needs training images of at least two emotions"):
        LabelNoise(0.5, 0).swap([1] * 10, DIGESTS[:10])


def test_manifest_records_rate_and_seed() -> None:
    assert LabelNoise(0.2, 7).options() == {"noise": 0.2, "noise_seed": 7}
    assert LabelNoise(0.0, 7).options() == {}


def test_rows_of_other_splits_stay_and_copies_follow() -> None:
    rows = [row(i, emotion=EMOTIONS[i % 4]) for i in range(20)]
    copies = [row(100 + i, emotion=one.emotion, origin="augmented", parent=one.path) for i, one in enumerate(rows)]
    others = [row(200 + i, split, EMOTIONS[i % 4]) for split in ("validation", "test") for i in range(20)]
    found = noisy_rows([*rows, *copies, *others], EMOTIONS, LabelNoise(0.5, 0))
    assert sum(new.emotion != old.emotion for new, old in zip(found, rows, strict=False)) == 10
    assert [one.emotion for one in found[20:40]] == [one.emotion for one in found[:20]]
    assert found[40:] == others
    assert [one.path for one in found] == [one.path for one in [*rows, *copies, *others]]


def test_votes_of_the_two_emotions_are_exchanged() -> None:
    rows = [row(0, votes="angry:3 sad:1"), row(1, emotion="happy", votes="happy:4"), row(2, emotion="happy")]
    found = noisy_rows(rows, EMOTIONS, LabelNoise(0.99, 0))
    assert [one.emotion for one in found] == ["happy", "angry", "angry"]
    assert [one.votes for one in found] == ["happy:0.75 sad:0.25", "angry:1", ""]
