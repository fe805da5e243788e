"""Groups from a column or a table, their metrics against a loop, and one line for every mistake."""

from __future__ import annotations

import csv
import os
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import recall_score

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, FerError, UsageError
from fercli.evaluation.grouping import NO_GROUP, Groups, measure_groups, read_groups, write_groups
from fercli.metrics.groups import gap_test
from fercli.metrics.intervals import wilson_interval
from fercli.packs.opening import open_pack
from tests.helpers.datasets import face, make_dataset

SUBJECTS = ("anna", "10", "9", "")
PATHS = [f"test/{emotion}/{k}.png" for emotion in ("happy", "sad") for k in range(12)]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    home = tmp_path_factory.mktemp("groups")
    columns = {
        path: {"subject": SUBJECTS[k % 4], "score": str(k * 1.5), "box": f"{k} 1 2 3"} for k, path in enumerate(PATHS)
    }
    images = {path: face(k, 16) for k, path in enumerate([*PATHS, "train/happy/0.png"])}
    data = make_dataset(home / "data", images, columns=columns)
    fercli.pack(data.path, home / "pack")
    return open_artifact(home / "pack")


def groups_of(by: object, pack: Artifact, paths: list[str] = PATHS) -> Groups:
    return read_groups(str(by), pack, open_pack(pack), paths)


def test_column_of_words(pack: Artifact) -> None:
    found = groups_of("subject", pack)
    assert (found.by, found.names, found.binned) == ("subject", ("9", "10", "anna", NO_GROUP), False)
    assert [found.names[k] for k in found.numbers] == ["anna", "10", "9", NO_GROUP] * 6


def test_column_of_many_numbers_is_divided_at_the_quartiles(pack: Artifact) -> None:
    found = groups_of("score", pack)
    values = np.arange(24) * 1.5
    edges = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    assert found.binned
    assert found.names == tuple(f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges))
    assert found.numbers.tolist() == [int(np.clip((edges <= x).sum() - 1, 0, 3)) for x in values]
    assert np.bincount(found.numbers).tolist() == [6, 6, 6, 6]


def test_column_of_few_numbers_is_not_divided(pack: Artifact, tmp_path: Path) -> None:
    table = write_table(tmp_path / "ages.csv", [(path, str(20 + k % 3)) for k, path in enumerate(PATHS)])
    assert groups_of(table, pack).names == ("20", "21", "22")


def write_table(file: Path, rows: list[tuple[str, ...]], header: str = "path,group") -> Path:
    with file.open("w", newline="", encoding="utf-8-sig") as opened:
        opened.write(header + "\n")
        csv.writer(opened).writerows(rows)
    return file


def test_table(pack: Artifact, tmp_path: Path) -> None:
    rows = [(path, "old" if k % 2 else "young") for k, path in enumerate(PATHS[:20])]
    rows += [("test/happy/unknown.png", "old"), ("train/happy/0.png", "old"), rows[0]]
    found = groups_of(write_table(tmp_path / "ages.csv", rows), pack)
    assert (found.by, found.names, found.unknown_rows) == ("ages.csv", ("old", "young", NO_GROUP), 1)
    assert [found.names[k] for k in found.numbers] == ["young", "old"] * 10 + [NO_GROUP] * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,age\na,b\n", "expected one column 'group' in the first line, which is: path, age"),
        ("path,group,group\n", "expected one column 'group'"),
        ("", "expected one column 'path'"),
        ("path,group\ntest/happy/0.png\n", "line 2 has 1 of 2 cells"),
        ("path,group\ntest/happy/0.png,a\ntest/happy/0.png,b\n", "line 3: a second group for test/happy/0.png"),
        ("path,group\nother.png,a\n", "no path is that of an image of the evaluated split"),
        ("path,group\ntest/happy/0.png,\n", "so no image has a group"),
        ("path,group\n" + "x" * 200_000 + ",a\n", "cannot be read as a table"),
        (b"path,group\n\xff\xfe,a\n", "cannot be read as a table"),
    ],
)
def test_invalid_tables(pack: Artifact, tmp_path: Path, content: str | bytes, message: str) -> None:
    file = tmp_path / "groups.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        groups_of(file, pack)
    assert str(file) in str(caught.value)


def test_files_that_are_not_tables(pack: Artifact, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="a pipe, not a table"):
        groups_of(tmp_path / "pipe.csv", pack)
    with pytest.raises(DataError, match="a folder, not a table"):
        groups_of(tmp_path, pack)
    with pytest.raises(DataError, match="no such table"):
        groups_of(tmp_path / "gone.csv", pack)


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ("subjct", UsageError, "no column 'subjct'; did you mean subject"),
        ("fold", DataError, "--by fold: the column is empty"),
        ("box", DataError, "--by box: 24 different values for 24 images, too many"),
        ("sha256", DataError, "--by sha256: 24 different values for 24 images, too many"),
    ],
)
def test_columns_without_groups(pack: Artifact, column: str, error: type[FerError], message: str) -> None:
    with pytest.raises(error, match=message):
        groups_of(column, pack)


def test_dataset_that_is_gone_or_changed(pack: Artifact, tmp_path: Path) -> None:
    shutil.copytree(pack.path.parent, tmp_path / "home")
    moved = open_artifact(tmp_path / "home" / "pack")
    assert groups_of("subject", moved).names[0] == "9"
    with (tmp_path / "home" / "data" / "index.csv").open("a") as index:
        index.write("\n")
    with pytest.raises(DataError, match=r"index\.csv: was modified after the dataset was created"):
        groups_of("subject", moved)
    shutil.rmtree(tmp_path / "home" / "data")
    with pytest.raises(
        DataError, match=r"data: the dataset of the pack .*, for --by subject, no longer exists; re-create"
    ):
        groups_of("subject", moved)


@pytest.fixture(scope="module")
def example() -> tuple[Groups, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    numbers, labels = generator.integers(0, 4, 300), generator.integers(0, 7, 300)
    numbers[:3] = 3
    numbers[3:][numbers[3:] == 3] = 0
    right = generator.random(300) < np.array([0.8, 0.55, 0.7, 0.0])[numbers]
    return Groups("age", ("young", "old", "other", "few"), numbers), labels, np.where(right, labels, (labels + 1) % 7)


def test_metrics_equal_a_loop(example: tuple[Groups, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    groups, labels, predicted = example
    found = measure_groups(groups, labels, predicted, EMOTIONS)
    for number, (name, group) in enumerate(found.groups.items()):
        own = groups.numbers == number
        correct = int((labels == predicted)[own].sum())
        assert name == groups.names[number]
        assert (group.n, group.accuracy) == (own.sum(), pytest.approx(correct / own.sum()))
        assert group.accuracy_interval == list(wilson_interval(correct, int(own.sum())))
        recalls = recall_score(labels[own], predicted[own], labels=range(7), average=None, zero_division=0)
        expected = [r if (labels[own] == k).any() else None for k, r in enumerate(recalls)]
        assert list(group.recalls.values()) == pytest.approx(expected)
    assert None in found.groups["few"].recalls.values()
    write_groups(tmp_path / "groups.csv", found, EMOTIONS)
    with (tmp_path / "groups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["group", "n", "accuracy", "low", "high", *(f"recall_{emotion}" for emotion in EMOTIONS)]
    assert [row["group"] for row in rows] == list(groups.names)
    assert float(rows[1]["accuracy"]) == pytest.approx(found.groups["old"].accuracy, abs=1e-6)
    assert rows[3][f"recall_{EMOTIONS[[*found.groups['few'].recalls.values()].index(None)]}"] == ""


def test_gap_is_that_of_groups_with_enough_images(example: tuple[Groups, np.ndarray, np.ndarray]) -> None:
    groups, labels, predicted = example
    gap = measure_groups(groups, labels, predicted, EMOTIONS).gap
    assert gap is not None
    right, n = np.zeros(3, int), np.zeros(3, int)
    for number, correct in zip(groups.numbers, labels == predicted, strict=True):
        if number < 3:  # the fourth group is too small
            right[number] += correct
            n[number] += 1
    test = gap_test(right, n)
    assert (gap.high, gap.low, gap.compared, gap.min_n) == ("young", "old", 3, 10)
    assert gap.gap == pytest.approx(right[0] / n[0] - right[1] / n[1])
    assert gap.p_value == test.p_value < 0.01


def test_no_gap_of_one_group_or_of_images_without_a_group() -> None:
    labels = np.arange(40) % 7
    groups = Groups("age", ("young", NO_GROUP), np.arange(40) % 2)
    assert measure_groups(groups, labels, labels, EMOTIONS).gap is None
    assert measure_groups(groups, labels, labels, EMOTIONS).groups[NO_GROUP].n == 20
