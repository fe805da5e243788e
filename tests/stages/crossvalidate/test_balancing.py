"""`fer crossvalidate --balance`: only the train images of a fold are filled up."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.cross_folds import cross_folds, hold_out_fold
from fercli.datasets.index import Row, read_index
from fercli.errors import DataError, UsageError
from fercli.images import pixel_digest, read_image
from fercli.packs.file import read_paths, read_split
from fercli.packs.opening import open_pack
from fercli.progress import SILENT
from fercli.stages.crossvalidate.balancing import balanced_rows, constant_images
from fercli.stages.crossvalidate.config import CrossvalidateConfig
from tests.helpers.crossvalidation import OPTIONS, make_faces, rows_of
from tests.helpers.datasets import face, make_dataset, names


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Eighteen happy, nine sad and six fear images, two of which are constant."""
    counts = {"happy": 18, "sad": 9, "fear": 6}
    images = {
        f"train/{emotion}/{i:02d}.png": face(100 * k + i, 24)
        for k, (emotion, count) in enumerate(counts.items())
        for i in range(count)
    }
    for i in (0, 1):
        images[f"train/fear/{i:02d}.png"] = np.full((24, 24), 40 + i, np.uint8)
    return make_dataset(tmp_path_factory.mktemp("balancing") / "data", images)


def held_out(dataset: Artifact, fold: int) -> list[Row]:
    rows = read_index(dataset)
    cross = cross_folds(rows, ["train"], folds=3, repeats=1, seed=0, stratify=True)
    return hold_out_fold(rows, cross, 1, fold, validation=0.2, seed=0, stratify=True).rows


def constant(dataset: Artifact) -> frozenset[str]:
    return constant_images(dataset.path, read_index(dataset), 1, SILENT)


@pytest.mark.parametrize(("policy", "target"), [("level", None), (15, 15)])
def test_only_train_is_filled_from_its_own_images(
    dataset: Artifact, tmp_path: Path, policy: str | int, target: int | None
) -> None:
    config = CrossvalidateConfig.of(balance=policy)
    assert constant(dataset) == {"train/fear/00.png", "train/fear/01.png"}
    for fold in (1, 2, 3):
        rows = held_out(dataset, fold)
        before = Counter((row.split, row.emotion) for row in rows)
        train = {row.path for row in rows if row.split == "train"}
        with balanced_rows(dataset, rows, config, constant(dataset), tmp_path, SILENT) as (balanced, created):
            after = Counter((row.split, row.emotion) for row in balanced)
            goal = target or max(count for (split, _), count in before.items() if split == "train")
            assert {key: n for key, n in after.items() if key[0] == "train"} == {
                ("train", emotion): goal for emotion in ("happy", "sad", "fear")
            }
            assert {key: n for key, n in after.items() if key[0] != "train"} == {
                key: n for key, n in before.items() if key[0] != "train"
            }
            new = [row for row in balanced if row.path in created]
            assert len(new) == len(balanced) - len(rows) > 0
            assert {row.parent for row in new} <= train - constant(dataset)
            assert {row.origin for row in new} == {"augmented"}
            digests = [pixel_digest(read_image(created[row.path] / row.path)) for row in new]
            assert digests == [row.sha256 for row in new]
            assert not set(digests) & {row.sha256 for row in rows}
            assert [row.split for row in balanced] == sorted(
                (row.split for row in balanced), key=["train", "validation", "test"].index
            )
        assert names(tmp_path) == []


def test_without_a_policy_nothing_is_added(dataset: Artifact, tmp_path: Path) -> None:
    rows = held_out(dataset, 1)
    with balanced_rows(dataset, rows, CrossvalidateConfig.of(), frozenset(), tmp_path, SILENT) as found:
        assert found == (rows, {})


def test_class_of_constant_images_only_is_refused(tmp_path: Path) -> None:
    images = {f"train/happy/{i}.png": face(i, 16) for i in range(12)}
    images |= {f"train/sad/{i}.png": np.full((16, 16), i, np.uint8) for i in range(6)}
    data = make_dataset(tmp_path / "data", images)
    rows, config = held_out(data, 1), CrossvalidateConfig.of(balance="level")
    with (
        pytest.raises(DataError, match="train has no image to augment for sad"),
        balanced_rows(data, rows, config, constant(data), tmp_path, SILENT),
    ):
        raise AssertionError("not reached")
    assert names(tmp_path) == ["data"]


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="no policy 'levl'; did you mean level"):
        CrossvalidateConfig.of(balance="levl")


@pytest.mark.slow
def test_balanced_cross_validation_has_the_same_folds(tmp_path: Path) -> None:
    data = make_faces(tmp_path / "data")
    options = {**OPTIONS, "epochs": 1}
    plain = fercli.crossvalidate(data, tmp_path / "plain", **options)
    made = fercli.crossvalidate(data, tmp_path / "made", balance=10, keep_packs=True, **options)
    folds = [[(row["path"], row["fold"]) for row in rows_of(one, "predictions.csv")] for one in (plain, made)]
    assert folds[0] == folds[1]
    assert [row["train"] for row in rows_of(made, "folds.csv")] == ["30"] * 3
    assert made.summary["test_to_train"] == plain.summary["test_to_train"] == 0.5  # added images do not count
    for fold in (1, 2, 3):
        info = open_pack(open_artifact(made.path / f"packs/r1-f0{fold}", "pack"))
        train = read_paths(info, "train")
        test = set(read_paths(info, "test"))
        added = [path for path in train if "-aug-" in path]
        assert added
        assert not {f"{path.rpartition('-aug-')[0]}.png" for path in added} & test
        assert len({bytes(d) for d in read_split(info, "train").sha256}) == 30
