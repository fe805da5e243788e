"""Cutting splits: whole groups, shares kept, the same every time."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.datasets.splitting import SHARES, stratified

images = st.lists(st.tuples(st.sampled_from(["sad", "happy", "fear"]), st.integers(0, 30)), max_size=120)


@given(images, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_groups_stay_whole_and_every_image_has_a_split(items: list[tuple[str, int]], seed: int) -> None:
    emotions = [emotion for emotion, _ in items]
    groups = [f"group {number}" for _, number in items]
    splits = stratified(emotions, groups=groups, seed=seed)
    assert len(splits) == len(items)
    assert set(splits) <= set(SHARES)
    by_group = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        by_group[group].add(split)
    assert all(len(found) == 1 for found in by_group.values())
    assert stratified(emotions, groups=groups, seed=seed) == splits


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_emotion_is_shared_out_alike(sad: int, happy: int, seed: int) -> None:
    emotions = ["sad", "happy"] * min(sad, happy) + ["sad"] * max(0, sad - happy) + ["happy"] * max(0, happy - sad)
    counts = Counter(zip(emotions, stratified(emotions, seed=seed), strict=True))
    for emotion, total in (("sad", sad), ("happy", happy)):
        sizes = {split: counts[emotion, split] for split in SHARES}
        assert sum(sizes.values()) == total
        # Within one image of the exact share, or the one that a split must have of three or more.
        assert all(abs(size - total * SHARES[split]) < 1 or size == 1 or total < 20 for split, size in sizes.items())
        if total >= 3:
            assert min(sizes.values()) >= 1
        if total:
            assert sizes["train"] == max(sizes.values())


def test_known_sizes() -> None:
    for total, sizes in {1: [1, 0, 0], 2: [2, 0, 0], 3: [1, 1, 1], 10: [8, 1, 1], 981: [785, 98, 98]}.items():
        counts = Counter(stratified(["sad"] * total))
        assert [counts[split] for split in SHARES] == sizes, total


def test_the_seed_decides_and_another_emotion_does_not_matter() -> None:
    emotions = ["sad"] * 100
    assert stratified(emotions, seed=1) != stratified(emotions, seed=2)
    assert stratified([*emotions, *["surprise"] * 50], seed=1)[:100] == stratified(emotions, seed=1)


def test_other_shares() -> None:
    counts = Counter(stratified(["sad"] * 100, shares={"train": 0.5, "validation": 0.5}))
    assert counts == {"train": 50, "validation": 50}


def test_nothing_is_split_into_nothing() -> None:
    assert stratified([]) == []


def test_as_many_groups_as_images_are_wanted() -> None:
    with pytest.raises(IndexError):
        stratified(["sad", "sad"], groups=["a"])
