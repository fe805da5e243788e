"""The folds of a cross-validation."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.datasets.cross_folds import CrossFolds, HeldOut, cross_folds, hold_out_fold
from fercli.datasets.index import Row
from fercli.errors import UsageError

SPLITS = ("train", "validation")
EMOTIONS = ("happy", "sad", "fear")


def row(number: int, emotion: str = "sad", split: str = "train", **columns: str) -> Row:
    return Row(f"{split}/{emotion}/{number}.png", split, emotion, **{"sha256": f"picture {number}", **columns})


def make(rows: list[Row], folds: int = 3, repeats: int = 1, seed: int = 0, stratify: bool = True) -> CrossFolds:
    return cross_folds(rows, SPLITS, folds=folds, repeats=repeats, seed=seed, stratify=stratify)


def held(rows: list[Row], cross: CrossFolds, fold: int, validation: float = 0.2) -> HeldOut:
    return hold_out_fold(rows, cross, 1, fold, validation=validation, seed=0, stratify=True)


def plain(each: int = 10, test: int = 4) -> list[Row]:
    """Return single images: `each` of every emotion in train, and a test split."""
    images = [row(i, EMOTIONS[i % 3]) for i in range(3 * each)]
    return images + [row(1000 + i, EMOTIONS[i % 3], "test") for i in range(test)]


cells = st.lists(
    st.tuples(st.sampled_from(EMOTIONS), st.integers(0, 14), st.integers(0, 40)), min_size=25, max_size=120
).filter(lambda items: len({person for _, person, _ in items}) >= 8)


@pytest.mark.slow
@given(cells, st.integers(2, 4), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_folds_are_a_partition_that_keeps_groups(
    items: list[tuple[str, int, int]], folds: int, seed: int, stratify: bool
) -> None:
    # Persons, and photographs that some of their images come from.
    rows = [row(i, e, subject=f"S{p}", photograph=f"{c}.jpg" if c < 3 else "") for i, (e, p, c) in enumerate(items)]
    smallest = min(Counter(e for e, _, _ in items).values())
    try:
        cross = make(rows, folds, repeats=2, seed=seed, stratify=stratify)
    except UsageError:  # a chain of photographs left too few groups, or an emotion has too few images
        groups = {frozenset((one.subject, one.photograph)) for one in rows}
        assert smallest < folds or len(groups) > len({one.subject for one in rows})
        return
    assert [len(own) for own in cross.folds] == [len(rows)] * 2
    for own in cross.folds:
        assert set(own) == set(range(1, folds + 1))
        for column in ("subject", "photograph"):
            together: dict[str, set[int]] = {}
            for one, fold in zip(rows, own, strict=True):
                if name := getattr(one, column):
                    together.setdefault(name, set()).add(fold)
            assert all(len(found) == 1 for found in together.values())
    assert make(rows, folds, repeats=2, seed=seed, stratify=stratify) == cross


@pytest.mark.slow
@given(st.lists(st.sampled_from(EMOTIONS), min_size=30, max_size=120), st.integers(2, 5), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_folds_of_single_images_differ_by_one_at_most(emotions: list[str], folds: int, seed: int) -> None:
    rows = [row(i, emotion) for i, emotion in enumerate(emotions)]
    if min(Counter(emotions).values()) < folds:
        return
    (own,) = make(rows, folds, seed=seed).folds
    for emotion in (*set(emotions), ""):
        sizes = Counter(fold for fold, e in zip(own, emotions, strict=True) if emotion in ("", e))
        assert max(sizes.values()) - min(sizes[fold] for fold in range(1, folds + 1)) <= 1


def test_folds_are_stratified_only_on_request() -> None:
    rows = plain(30)
    by_emotion = {
        stratify: Counter(zip(own, (one.emotion for one in rows), strict=False)).values()
        for stratify in (True, False)
        for own in make(rows, stratify=stratify).folds
    }
    assert set(by_emotion[True]) == {10}
    assert set(by_emotion[False]) != {10}


def test_folds_depend_on_the_images_and_the_seed_and_repeats_differ() -> None:
    rows = plain()
    cross = make(rows, repeats=2)
    assert cross.folds[0] != cross.folds[1]
    assert make(rows).folds[0] == cross.folds[0]
    assert make(rows, seed=1).folds[0] != cross.folds[0]
    assert make([replace(one, sha256=f"other {one.sha256}") for one in rows]).folds != [cross.folds[0]]
    assert len(cross.rows) == 30  # not the test split


def test_balanced_copies_have_the_folds_of_the_original() -> None:
    rows = plain()
    copies = [
        replace(one, path=f"{one.path[:-4]}-aug.png", sha256=f"{one.sha256}+", origin="augmented", parent=one.path)
        for one in rows[:9]
    ]
    assert make([*rows, *copies]).folds == make(rows).folds


def test_copies_and_photographs_are_never_divided() -> None:
    rows = [row(i, EMOTIONS[i % 3], sha256=f"picture {i // 2}") for i in range(40)]
    (own,) = make(rows).folds
    assert all(own[i] == own[i + 1] for i in range(0, 40, 2))
    rows = [row(i, EMOTIONS[i % 3], photograph=f"{i // 4}.jpg") for i in range(40)]
    (own,) = make(rows).folds
    assert all(len(set(own[i : i + 4])) == 1 for i in range(0, 40, 4))


def test_own_folds_are_used_if_there_are_as_many() -> None:
    rows = [replace(one, fold=str(i % 3 + 1)) for i, one in enumerate(plain(test=0))]
    cross = make(rows, repeats=2)
    assert cross.imported
    assert cross.folds[0] == [i % 3 + 1 for i in range(30)]
    assert cross.folds[1] != cross.folds[0]
    assert not make(rows, folds=5).imported
    assert not make(rows, seed=1).imported


def test_own_folds_that_divide_a_photograph_are_not_used() -> None:
    rows = [replace(one, fold=str(i % 3 + 1), photograph=f"{i // 2}.jpg") for i, one in enumerate(plain(test=0))]
    cross = make(rows)
    assert (cross.imported, cross.divided) == (False, 15)


def test_held_out_fold_is_test_and_validation_is_taken_from_the_others() -> None:
    rows = plain()
    cross = make(rows)
    seen: Counter[str] = Counter()
    for fold in (1, 2, 3):
        by_split: dict[str, set[str]] = {}
        for one in held(rows, cross, fold).rows:
            by_split.setdefault(one.split, set()).add(one.path)
        own = {one.path for one, number in zip(cross.rows, cross.folds[0], strict=True) if number == fold}
        assert by_split["test"] == own
        assert {name: len(paths) for name, paths in by_split.items()} == {
            "train": 20 - len(by_split["validation"]), "validation": len(by_split["validation"]), "test": 10
        }  # fmt: skip
        assert len(by_split["validation"]) in (3, 4, 5)
        seen.update(by_split["test"])
    assert seen == Counter(one.path for one in rows if one.split != "test")


def test_persons_are_not_divided_between_train_and_validation() -> None:
    rows = [row(i, EMOTIONS[i % 3], subject=f"S{i % 12}") for i in range(60)]
    cross = make(rows)
    splits: dict[str, set[str]] = {}
    for one in held(rows, cross, 1).rows:
        splits.setdefault(one.subject, set()).add(one.split)
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "validation", "test"}


def test_derived_images_follow_their_original_into_train_only() -> None:
    rows = plain()
    cross = make(rows)
    child = [replace(one, path=f"{one.path}.a.png", origin="augmented", parent=one.path) for one in rows]
    grandchild = [replace(one, path=f"{one.path}.b.png", parent=one.path) for one in child]
    orphan = replace(rows[0], path="train/sad/orphan.png", origin="augmented", parent="train/sad/gone.png")
    generated = [replace(rows[0], path=f"{s}/sad/g.png", split=s, origin="generated") for s in ("train", "test")]
    found = held([*rows, *child, *grandchild, orphan, *generated], cross, 1)
    split_of = {one.path: one.split for one in found.rows}
    for one in rows:
        for derived in (f"{one.path}.a.png", f"{one.path}.a.png.b.png"):
            assert split_of.get(derived) == ("train" if split_of.get(one.path) == "train" else None)
            assert (derived in found.left_out) == (split_of.get(one.path) != "train")
    assert orphan.path in found.left_out
    assert split_of["train/sad/g.png"] == "train"
    assert "test/sad/g.png" not in split_of
    assert found.generated == 1


@pytest.mark.parametrize(
    ("rows", "folds", "message"),
    [
        (plain(4), 5, "folds: 5 are more than the 4 images of fear in train and validation; use at most 4"),
        ([*plain(4), row(99, "neutral")], 3, "more than the 1 image of neutral in train and validation; use another"),
        ([row(i, subject=f"S{i % 2}") for i in range(9)], 3, "more than the 2 distinct persons or photographs"),
        ([row(i, sha256=f"p{i % 2}") for i in range(9)], 3, "more than the 2 distinct images"),
        (plain(0), 2, "splits: the dataset has no images in train and validation"),
    ],
)
def test_too_many_folds_are_refused(rows: list[Row], folds: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(rows, folds)


def test_small_classes_are_accepted_without_stratification() -> None:
    rows = [*plain(4), row(99, "neutral")]
    assert set(make(rows, 3, stratify=False).folds[0]) == {1, 2, 3}


def test_validation_without_an_image_is_refused() -> None:
    rows = [row(i, EMOTIONS[i % 3]) for i in range(6)]
    cross = make(rows, 2)
    with pytest.raises(UsageError, match=r"validation: 0\.2 of the 3 images outside a fold leaves none for validation"):
        held(rows, cross, 1)
