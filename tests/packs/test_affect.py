"""Valence and arousal in packs: written from the index, read back, and refused if malformed."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fercli.artifacts import Artifact
from fercli.datasets.index import Row
from fercli.errors import DataError
from fercli.packs.affect import affect_of, read_affect
from fercli.packs.file import FILE, read_info
from fercli.packs.opening import open_pack
from fercli.stages.pack.config import PackConfig
from fercli.stages.pack.stage import pack
from tests.helpers.datasets import face, make_dataset

PATHS = [f"{split}/{emotion}/{n}.png" for split in ("train", "test") for emotion in ("happy", "sad") for n in range(2)]
ANNOTATED = {
    "train/happy/0.png": {"valence": "0.9", "arousal": "0.25"},
    "train/sad/1.png": {"valence": "-0.5", "arousal": "-1.0"},
}


def packed(folder: Path, columns: dict[str, dict[str, str]]) -> Artifact:
    images = {path: face(seed, 16) for seed, path in enumerate(PATHS)}
    dataset = make_dataset(folder / "dataset", images, columns=columns)
    return pack(PackConfig.of(dataset=dataset.path, out=folder / "pack"))


def test_annotations_of_the_index_are_packed_by_split(tmp_path: Path) -> None:
    made = packed(tmp_path, ANNOTATED)
    info = open_pack(made)
    found = read_affect(info, "train")
    assert found is not None
    assert found.dtype == np.float32
    expected = [[0.9, 0.25], [np.nan, np.nan], [np.nan, np.nan], [-0.5, -1]]
    assert np.allclose(found, expected, equal_nan=True)
    assert read_affect(info, "test") is None
    assert made.summary["affect"] == {"train": 2}
    with pytest.raises(DataError, match="has no validation split"):
        read_affect(info, "validation")


def test_a_pack_without_annotations_is_as_before(tmp_path: Path) -> None:
    made = packed(tmp_path, {})
    assert "affect" not in made.summary
    with h5py.File(made.path / FILE) as file:
        assert set(file["train"]) == {"images", "labels", "paths", "sha256"}


def test_invalid_annotations_are_refused(tmp_path: Path) -> None:
    row = Row("train/happy/0.png", "train", "happy", valence="3", arousal="0")
    with pytest.raises(
        DataError, match=r"train/happy/0.png: valence 3 and arousal 0 are not both in -1 to 1; re-create"
    ):
        affect_of(tmp_path, [row])


GOOD = np.zeros((4, 2), np.float32)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (GOOD.astype(np.float64), "not float32"),
        (GOOD[:3], "not float32"),
        (GOOD[:, :1], "not float32"),
        (GOOD + 1.5, "not valence and arousal"),
        (GOOD + np.inf, "not valence and arousal"),
        (np.array([[np.nan, 0]] * 4, np.float32), "not valence and arousal"),
    ],
)
def test_malformed_values_are_refused(tmp_path: Path, values: Any, why: str) -> None:
    file = packed(tmp_path, ANNOTATED).path / FILE
    with h5py.File(file, "r+") as opened:
        del opened["train/affect"]
        opened["train/affect"] = values
    with pytest.raises(DataError, match=why):
        read_affect(read_info(file), "train")


@pytest.mark.parametrize("link", [h5py.SoftLink("/test/sha256"), h5py.ExternalLink("other.h5", "/x")])
def test_links_are_refused(tmp_path: Path, link: Any) -> None:
    file = packed(tmp_path, ANNOTATED).path / FILE
    with h5py.File(file, "r+") as opened:
        del opened["train/affect"]
        opened["train/affect"] = link
    with pytest.raises(DataError):
        read_affect(read_info(file), "train")
    with h5py.File(file, "r+") as opened:
        del opened["train/affect"]
        opened.create_group("train/affect")
    with pytest.raises(DataError, match="not float32"):
        read_affect(read_info(file), "train")
