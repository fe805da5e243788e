"""`fer pack --fold`: the split of each image."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fercli
from fercli.datasets.index import Row
from fercli.errors import DataError, FerError, LeakError, UsageError
from fercli.packs.file import read_paths
from fercli.packs.opening import open_pack
from fercli.stages.pack.folds import FoldSplit, hold_out
from tests.helpers.datasets import face, make_dataset


def rows_of(folds: Mapping[str, str]) -> list[Row]:
    """Return rows by path and fold: `<split>/<emotion>/<name>`."""
    return [Row(path, path.split("/")[0], path.split("/")[1], fold=fold) for path, fold in folds.items()]


PUBLISHED = {
    "train/sad/1": "1",
    "train/sad/2": "2",
    "validation/sad/3": "3",
    "train/happy/4": "1",
    "validation/happy/5": "2",
    "test/sad/6": "",
    "test/happy/7": "",
}
ALL = {"train/sad/1": "1", "validation/sad/2": "2", "test/sad/3": "3", "train/sad/4": "3", "train/happy/5": "1"}


def parts(held: FoldSplit) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in held.rows:
        found.setdefault(row.split, []).append(row.path.rpartition("/")[2])
    return found


@pytest.mark.parametrize(
    ("fold", "train", "validation"),
    [(1, ["2", "3", "5"], ["1", "4"]), (2, ["1", "3", "4"], ["2", "5"]), (3, ["1", "2", "4", "5"], ["3"])],
)
def test_fold_is_validation_with_a_published_test_split(fold: int, train: list[str], validation: list[str]) -> None:
    held = hold_out(Path("d"), rows_of(PUBLISHED), fold)
    assert parts(held) == {"train": train, "validation": validation, "test": ["6", "7"]}
    assert held.summary() == {"fold": fold, "folds": 3, "as": "validation", "left_out": 0}


@pytest.mark.parametrize(
    ("fold", "train", "validation", "test"),
    [(1, ["3", "4"], ["2"], ["1", "5"]), (2, ["1", "5"], ["3", "4"], ["2"]), (3, ["2"], ["1", "5"], ["3", "4"])],
)
def test_next_fold_is_validation_without_a_published_test_split(
    fold: int, train: list[str], validation: list[str], test: list[str]
) -> None:
    held = hold_out(Path("d"), rows_of(ALL), fold)
    assert parts(held) == {"train": train, "validation": validation, "test": test}
    assert (held.part, held.folds) == ("test", 3)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=20, max_size=40), st.integers(0, 4))
def test_every_fold_is_held_out_once_and_splits_are_disjoint(folds: list[int], published: int) -> None:
    folds = [1, 2, 3, 4, 5, *folds]
    rows = rows_of({f"train/sad/{i}": str(fold) for i, fold in enumerate(folds)})
    rows += rows_of({f"test/sad/t{i}": "" for i in range(published)})
    seen: list[str] = []
    for fold in range(1, 6):
        held = hold_out(Path("d"), rows, fold)
        assert sorted(row.path for row in held.rows) == sorted(row.path for row in rows)
        own = {row.path for row in held.rows if row.fold == str(fold)}
        by_split = {split: {r.path for r in held.rows if r.split == split} for split in ("train", "validation", "test")}
        assert own == by_split["validation" if published else "test"]
        assert all(by_split.values())
        assert {row.path for row in rows if not row.fold} == (by_split["test"] if published else set())
        seen += sorted(own)
    assert sorted(seen) == sorted(row.path for row in rows if row.fold)


def test_derived_images_follow_their_original() -> None:
    def made(path: str, parent: str = "", fold: str = "") -> Row:
        split, emotion, _ = path.split("/")
        return Row(path, split, emotion, fold=fold, origin="augmented" if parent else "generated", parent=parent)

    rows = [
        *rows_of(PUBLISHED),
        made("train/sad/1a", "train/sad/1", "1"),
        made("train/sad/2a", "train/sad/2"),  # without a fold: by its parent
        made("validation/sad/3a", "validation/sad/3", "3"),
        made("train/sad/9a", "train/sad/9", "2"),  # parent removed by clean: by its own fold
        made("train/sad/8a", "train/sad/8"),
        made("test/sad/6a", "test/sad/6"),
        made("train/sad/g1"),
        made("test/sad/g2"),
    ]
    held = hold_out(Path("d"), rows, 1)
    assert parts(held)["train"] == ["2", "3", "5", "2a", "3a", "9a", "g1"]
    assert parts(held)["validation"] == ["1", "4"]
    assert parts(held)["test"] == ["6", "7"]
    assert held.left_out == ["train/sad/1a", "train/sad/8a", "test/sad/6a", "test/sad/g2"]
    assert held.generated == 1


@pytest.mark.parametrize(
    ("folds", "fold", "kind", "message"),
    [
        ({"train/sad/1": "", "test/sad/2": ""}, 1, UsageError, "d has no folds; import it with --folds"),
        (PUBLISHED, 4, UsageError, r"d has folds 1 to 3 \(given: 4\)"),
        (
            {"train/sad/1": "1", "train/sad/2": "2"},
            1,
            UsageError,
            "d has 2; without a published test split, at least 3",
        ),
        ({"train/sad/1": "1", "test/sad/2": ""}, 1, UsageError, "d has 1; at least 2 folds are needed"),
        ({**PUBLISHED, "train/sad/8": ""}, 1, DataError, "1 images outside test have no fold, such as train/sad/8"),
        ({**PUBLISHED, "test/sad/8": "2"}, 1, DataError, "only some test images have a fold"),
        ({**PUBLISHED, "train/sad/2": "two"}, 1, DataError, "the fold of train/sad/2 is 'two', not a number"),
        ({**PUBLISHED, "train/sad/2": "0"}, 1, DataError, "is '0', not a number from 1"),
        ({**PUBLISHED, "train/sad/2": "-1"}, 1, DataError, "is '-1', not a number from 1"),
        ({**PUBLISHED, "train/sad/2": "1" * 5000}, 1, DataError, "not a number from 1"),
        ({"train/sad/1": "1", "train/sad/2": "4", "test/sad/3": ""}, 3, DataError, "fold 3 has no images"),
        ({"train/sad/1": "1", "train/sad/2": "2", "train/sad/3": "4"}, 2, DataError, "fold 3 has no images"),
    ],
)
def test_invalid_folds_are_refused(folds: dict[str, str], fold: int, kind: type[FerError], message: str) -> None:
    with pytest.raises(kind, match=message):
        hold_out(Path("d"), rows_of(folds), fold)


IMAGES = {f"{path}.png": (face(seed), fold) for seed, (path, fold) in enumerate(PUBLISHED.items())}


def folded(folder: Path, images: dict[str, Any]) -> Path:
    columns = {path: {"fold": fold} for path, (_, fold) in images.items()}
    return make_dataset(folder, {path: pixels for path, (pixels, _) in images.items()}, columns=columns).path


def test_packing_a_fold(tmp_path: Path, fer: Callable[..., Any]) -> None:
    data = folded(tmp_path / "data", IMAGES)
    made = fercli.pack(data, tmp_path / "pack", fold=2)
    info = open_pack(made)
    assert info.counts == {"train": 3, "validation": 2, "test": 2}
    assert read_paths(info, "validation") == ["train/sad/2.png", "validation/happy/5.png"]
    assert read_paths(info, "test") == ["test/sad/6.png", "test/happy/7.png"]
    assert made.manifest.options["fold"] == 2
    assert made.summary["fold"] == {"fold": 2, "folds": 3, "as": "validation", "left_out": 0}
    assert made.manifest.counts["validation"] == {"happy": 1, "sad": 1}
    ended = fer("pack", data, tmp_path / "again", "--fold", "3")
    assert ended.code == 0
    assert "fold 3 of 3 is validation, all others are train" in ended.err
    assert "fold 3 of 3 held out as validation" in ended.out
    ended = fer("pack", data, tmp_path / "none", "--fold", "9")
    assert ended.code == 2
    assert len(ended.lines) == 1


def test_equal_pixels_across_folds_are_refused(tmp_path: Path) -> None:
    images = {**IMAGES, "train/sad/8.png": (IMAGES["train/sad/1.png"][0], "2")}
    data = folded(tmp_path / "data", images)
    with pytest.raises(LeakError, match=r"one split: 1 .*re-import it with --folds"):
        fercli.pack(data, tmp_path / "pack", fold=1)
    assert open_pack(fercli.pack(data, tmp_path / "third", fold=3)).counts["train"] == 5


def test_copies_in_the_published_test_split_can_be_removed_by_clean(tmp_path: Path) -> None:
    images = {**IMAGES, "test/sad/8.png": (IMAGES["train/sad/1.png"][0], "")}
    data = folded(tmp_path / "data", images)
    with pytest.raises(LeakError, match=r"one split: 1 .*remove them with 'fer clean"):
        fercli.pack(data, tmp_path / "pack", fold=2)
    cleaned = fercli.clean(data, tmp_path / "cleaned").path
    assert open_pack(fercli.pack(cleaned, tmp_path / "pack", fold=2)).counts["train"] == 2
