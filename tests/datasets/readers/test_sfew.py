"""SFEW: films, aligned faces, and a test set without labels."""

from collections import defaultdict
from pathlib import Path

import pytest

import fercli
from fercli.datasets.index import read_index
from fercli.datasets.readers import find_others, find_reader
from tests.helpers.datasets import face, write_tree
from tests.helpers.layouts.wild import (
    LAYOUTS,
    read,
    sfew_tree,
)


def test_films_stay_together(tmp_path: Path) -> None:
    made = fercli.import_dataset(LAYOUTS["sfew"](tmp_path / "sfew").source, tmp_path / "out")
    by_film = defaultdict(set)
    for row in read_index(made):
        by_film[row.subject].add(row.split)
    assert by_film.keys() == {"Airheads", "AmericanHistoryX", "About_A_Boy", "Bridesmaids"}
    assert by_film["About_A_Boy"] == by_film["Bridesmaids"] == {"test"}
    assert sorted(by_film["Airheads"] | by_film["AmericanHistoryX"]) == ["train", "validation"]
    assert made.manifest.details["differs_from_published"]["splits"].keys() == {"train", "test"}


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Train_Aligned_Faces", "Val_Aligned_Faces"),
        ("Train_Aligned_Faces", "Val_Aligned_Faces_new/Val_Aligned_Faces"),
        ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces"),
    ],
)
def test_aligned_faces_are_preferred_to_frames(tmp_path: Path, train: str, val: str) -> None:
    write_tree(tmp_path, sfew_tree(train, val))
    write_tree(tmp_path, {path: pixels[:20, :20] for path, pixels in sfew_tree("Train", "Val").items()})
    reader = find_reader(tmp_path)
    assert reader.name == "sfew-aligned"
    assert find_others(tmp_path, reader) == ["sfew"]
    for name, expected in (("sfew-aligned", True), ("sfew", False)):
        items = read(tmp_path, name)
        assert len(items) == 28
        assert {item.problem for item in items} == {""}
        assert {"Aligned" in item.source for item in items} == {expected}
        assert {item.split for item in items} == {"train", "test"}


def test_sorted_test_set_is_read(tmp_path: Path) -> None:
    write_tree(tmp_path, sfew_tree("Train", "Val"))
    write_tree(
        tmp_path, {"Test/Angry/Film_000000001_00000012.png": face(1), "Test/Sad/Film_000000001_00000013.png": face(2)}
    )
    items = read(tmp_path)
    assert [item.split for item in items] == ["train"] * 14 + ["validation"] * 14 + ["test"] * 2
    assert (items[-1].subject, items[-1].frame) == ("Film", "13")


def test_plain_folders_are_not_sfew(tmp_path: Path) -> None:
    tree = {
        f"{split}/{emotion}/{k}.png": face(k)
        for split in ("Train", "Val")
        for emotion in ("Angry", "Sad")
        for k in (1, 2)
    }
    write_tree(tmp_path, tree)
    assert find_reader(tmp_path).name == "folders"
    assert {item.split for item in read(tmp_path)} == {"train", "validation"}
    assert {item.split for item in read(tmp_path, "sfew")} == {"train", "test"}
