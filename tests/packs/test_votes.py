"""Packing a dataset with votes."""

from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.errors import DataError
from fercli.packs.file import FILE, read_split, read_votes
from fercli.packs.opening import open_pack
from tests.helpers.datasets import face, make_dataset

IMAGES = {
    "train/happy/1.png": face(1),
    "train/sad/2.png": face(2),
    "train/sad/3.png": face(3),
    "validation/happy/4.png": face(4),
    "test/sad/5.png": face(5),
}
VOTES = {"train/happy/1.png": {"votes": "happy:3 sad:1"}, "train/sad/2.png": {"votes": "sad:10"}}


def test_votes_become_soft_targets_and_other_faces_one_hot(tmp_path: Path) -> None:
    columns = {**VOTES, "test/sad/5.png": {"votes": "happy:0.2 sad:0.6"}}
    made = fercli.pack(make_dataset(tmp_path / "data", IMAGES, columns=columns).path, tmp_path / "pack")
    info = open_pack(made)
    assert info.emotions == ("happy", "sad")
    train = read_split(info, "train").votes
    assert train is not None
    assert train.dtype == np.float32
    np.testing.assert_allclose(train, [[0.75, 0.25], [0, 1], [0, 1]])
    np.testing.assert_allclose(read_votes(info, "test"), [[0.25, 0.75]])
    assert read_votes(info, "validation") is None
    assert made.summary["votes"] == {"train": 2, "test": 1}


def test_pack_without_votes_has_no_votes_array(tmp_path: Path) -> None:
    plain = fercli.pack(make_dataset(tmp_path / "data", IMAGES).path, tmp_path / "pack")
    assert "votes" not in plain.summary
    assert b"votes" not in (plain.path / FILE).read_bytes()
    assert open_pack(plain).splits_with_votes == frozenset()


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ("bored:3", r"the votes of train/sad/2\.png: 'bored' is not one of happy, sad; re-create the dataset"),
        ("happy:-1 sad:2", r"train/sad/2\.png: -1 is not a valid number of votes for happy"),
        ("happy:0 sad:0", r"train/sad/2\.png: there are no votes for any emotion"),
        ("a lot", r"train/sad/2\.png: 'a lot' is not of the form"),
    ],
)
def test_invalid_votes_are_refused_before_images_are_read(tmp_path: Path, votes: str, message: str) -> None:
    data = make_dataset(tmp_path / "data", IMAGES, columns={"train/sad/2.png": {"votes": votes}})
    (data.path / "train/happy/1.png").unlink()
    with pytest.raises(DataError, match=message) as caught:
        fercli.pack(data.path, tmp_path / "pack")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pack").exists()
