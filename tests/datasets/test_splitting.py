"""Splitting: groups stay together, shares are met, results are deterministic."""

import warnings
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from fercli.datasets.splitting import SHARES, assign_folds, assign_splits, balanced, groups_of, stratified

images = st.lists(st.tuples(st.sampled_from(["sad", "happy", "fear"]), st.integers(0, 30)), max_size=120)


@given(images, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_groups_stay_together_and_every_image_has_a_split(items: list[tuple[str, int]], seed: int) -> None:
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
def test_every_emotion_is_split_by_the_shares(sad: int, happy: int, seed: int) -> None:
    emotions = ["sad", "happy"] * min(sad, happy) + ["sad"] * max(0, sad - happy) + ["happy"] * max(0, happy - sad)
    counts = Counter(zip(emotions, stratified(emotions, seed=seed), strict=True))
    for emotion, total in (("sad", sad), ("happy", happy)):
        sizes = {split: counts[emotion, split] for split in SHARES}
        assert sum(sizes.values()) == total
        # Within one image of the exact share, or the minimum of one image.
        assert all(abs(size - total * SHARES[split]) < 1 or size == 1 or total < 20 for split, size in sizes.items())
        if total >= 3:
            assert min(sizes.values()) >= 1
        if total:
            assert sizes["train"] == max(sizes.values())


def test_known_sizes() -> None:
    for total, sizes in {1: [1, 0, 0], 2: [2, 0, 0], 3: [1, 1, 1], 10: [8, 1, 1], 981: [785, 98, 98]}.items():
        counts = Counter(stratified(["sad"] * total))
        assert [counts[split] for split in SHARES] == sizes, total


def test_result_depends_on_the_seed_but_not_on_other_emotions() -> None:
    emotions = ["sad"] * 100
    assert stratified(emotions, seed=1) != stratified(emotions, seed=2)
    assert stratified([*emotions, *["surprise"] * 50], seed=1)[:100] == stratified(emotions, seed=1)


def test_other_shares() -> None:
    counts = Counter(stratified(["sad"] * 100, shares={"train": 0.5, "validation": 0.5}))
    assert counts == {"train": 50, "validation": 50}


def test_empty_input() -> None:
    assert stratified([]) == []


def test_number_of_groups_must_match() -> None:
    with pytest.raises(IndexError):
        stratified(["sad", "sad"], groups=["a"])


# --- persons and folds ---

persons = st.lists(
    st.tuples(st.sampled_from(["sad", "happy", "fear"]), st.integers(0, 12)), min_size=13, max_size=150
).filter(lambda items: len({person for _, person in items}) >= 5)


def columns(items: list[tuple[str, int]]) -> tuple[list[str], list[str], list[str]]:
    """Return emotions, subjects and distinct picture names of images."""
    return [e for e, _ in items], [f"S{p}" for _, p in items], [f"picture {k}" for k in range(len(items))]


def distance(emotions: list[str], parts: list[str], shares: dict[str, float]) -> float:
    """Return the sum of squared distances from the shares, over each emotion and all images."""
    cells, by_emotion = Counter(zip(parts, emotions, strict=True)), Counter(emotions)
    whole, sizes = len(emotions), Counter(parts)
    return sum(
        (cells[part, e] / n - share) ** 2 for e, n in by_emotion.items() for part, share in shares.items()
    ) + sum((sizes[part] / whole - share) ** 2 for part, share in shares.items())


@pytest.mark.slow
@given(persons, st.integers(2, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_folds_keep_persons_together_and_are_not_empty(items: list[tuple[str, int]], count: int, seed: int) -> None:
    emotions, subjects, pictures = columns(items)
    folds = assign_folds(emotions, subjects, pictures, count, seed)
    assert set(folds) == {str(number + 1) for number in range(count)}
    assert len(set(zip(subjects, folds, strict=True))) == len(set(subjects))
    assert assign_folds(emotions, subjects, pictures, count, seed) == folds


@pytest.mark.slow
@given(persons, st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_folds_are_about_as_even_as_in_scikit_learn(items: list[tuple[str, int]], count: int) -> None:
    emotions, subjects, pictures = columns(items)
    ours = assign_folds(emotions, subjects, pictures, count, 0)
    theirs = [""] * len(items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about emotions with fewer images than folds
        try:
            splits = list(StratifiedGroupKFold(count).split(emotions, emotions, subjects))
        except ValueError:
            return  # scikit-learn refuses this if every emotion has fewer images than folds
    for number, (_, chosen) in enumerate(splits):
        for k in chosen:
            theirs[k] = str(number + 1)
    if len(set(theirs)) < count:
        return  # scikit-learn may leave a fold empty
    shares = {str(number + 1): 1 / count for number in range(count)}
    assert distance(emotions, ours, shares) <= distance(emotions, theirs, shares) + 0.1


@pytest.mark.slow
def test_folds_are_more_even_than_in_scikit_learn_on_average() -> None:
    rng = np.random.default_rng(0)
    shares, sums = {str(number + 1): 0.1 for number in range(10)}, np.zeros(2)
    for _ in range(15):
        items = [
            (str(rng.choice(["sad", "happy", "fear"], p=[0.6, 0.3, 0.1])), int(rng.integers(60))) for _ in range(600)
        ]
        emotions, subjects, pictures = columns(items)
        theirs = [""] * len(items)
        for number, (_, chosen) in enumerate(StratifiedGroupKFold(10).split(emotions, emotions, subjects)):
            for k in chosen:
                theirs[k] = str(number + 1)
        ours = assign_folds(emotions, subjects, pictures, 10, 0)
        sums += distance(emotions, ours, shares), distance(emotions, theirs, shares)
    assert sums[0] < 0.5 * sums[1]


@pytest.mark.slow
@given(images.filter(lambda items: len({number for _, number in items}) >= 4), st.integers(2, 4), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_folds_without_persons_differ_by_at_most_one_image(items: list[tuple[str, int]], count: int, seed: int) -> None:
    pictures = [f"picture {number}" for _, number in items]
    emotions = [emotion for emotion, _ in items]
    folds = assign_folds(emotions, [""] * len(items), pictures, count, seed)
    assert len(set(zip(pictures, folds, strict=True))) == len(set(pictures))
    first = {
        picture: (fold, emotion)
        for picture, fold, emotion in reversed(list(zip(pictures, folds, emotions, strict=True)))
    }
    cells, sizes = Counter(first.values()), Counter(fold for fold, _ in first.values())
    assert max(sizes.values()) - min(sizes[str(k + 1)] for k in range(count)) <= 1
    for emotion in set(emotions):
        numbers = [cells[str(k + 1), emotion] for k in range(count)]
        assert max(numbers) - min(numbers) <= 1


def test_ten_equal_persons_are_distributed_evenly() -> None:
    items = [(emotion, person) for person in range(10) for emotion in ("sad", "happy", "fear") * 7]
    assert set(Counter(assign_folds(*columns(items), 10, 0)).values()) == {21}
    assert Counter(assign_splits(*columns(items), SHARES, 0)) == {"train": 168, "validation": 21, "test": 21}


def test_largest_group_goes_to_train_and_no_split_is_empty() -> None:
    items = [("sad", 0)] * 90 + [("sad", 1)] * 5 + [("happy", 2)] * 5
    splits = assign_splits(*columns(items), SHARES, 0)
    assert splits[0] == "train"
    assert set(splits) == set(SHARES)


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups are too few for 3 folds"):
        assign_folds(["sad"] * 4, ["a", "a", "b", "b"], list("wxyz"), 3, 0)


def test_groups_are_linked_by_persons_and_pictures() -> None:
    subjects, pictures = ["a", "a", "b", "", "", "c"], ["1", "2", "2", "3", "3", "4"]
    groups = groups_of(subjects, pictures)
    assert [groups.index(group) for group in groups] == [0, 0, 0, 3, 3, 5]
    assert groups_of([""] * 6, pictures) == pictures
    assert groups_of([], []) == []


def test_balanced_with_no_and_many_groups() -> None:
    assert balanced([], groups=[], shares=SHARES) == []
    emotions = ["sad", "happy"] * 3000
    splits = balanced(emotions, groups=[str(k // 2) for k in range(6000)], shares=SHARES)
    assert Counter(splits) == {"train": 4800, "validation": 600, "test": 600}
