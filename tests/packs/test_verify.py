"""Verifying a pack: changed pixels, changed labels, and what cannot be known of images that were resized."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.errors import DataError
from fercli.packs.file import FILE
from fercli.packs.opening import open_pack
from fercli.packs.verify import is_unchanged, packed_as_they_were, verify_split
from tests.helpers.datasets import face, make_dataset, noise
from tests.helpers.packs import make_pack


@pytest.fixture(params=["gray", "rgb"])
def pack(tmp_path: Path, request: pytest.FixtureRequest) -> Artifact:
    return make_pack(tmp_path / "pack", {"train": 5, "test": 3}, side=8, color=request.param)


def change(pack: Artifact, name: str, index: int, value: int) -> None:
    """Change one number of an array in the pack's file, in place."""
    with h5py.File(pack.path / FILE, "r+") as file:
        array = file[name]
        row = array[index]
        array[index] = np.full_like(row, value) if row.shape else value


def test_what_was_packed_fits(pack: Artifact) -> None:
    info = open_pack(pack, changed=True)
    assert is_unchanged(pack, info)
    for split in info.counts:
        found = verify_split(info, split)
        assert (found.changed.tolist(), found.relabelled.tolist(), found.unknown) == ([], [], 0)


def test_changed_images_and_labels_are_named(pack: Artifact) -> None:
    info = open_pack(pack, changed=True)
    change(pack, "train/images", 3, 7)
    change(pack, "train/labels", 1, 4)
    assert not is_unchanged(pack, info)
    found = verify_split(info, "train")
    assert (found.changed.tolist(), found.relabelled.tolist()) == ([3], [1])
    assert verify_split(info, "test").changed.size == 0


def test_chunks_do_not_shift_the_indices(pack: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercli.packs.verify.CHUNK", 2)
    change(pack, "train/images", 2, 7)
    change(pack, "train/labels", 4, 0)
    found = verify_split(open_pack(pack, changed=True), "train")
    assert (found.changed.tolist(), found.relabelled.tolist()) == ([2], [4])


def test_a_grey_image_in_colour_is_checked_as_the_grey_one_it_was(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "train/happy/2.png": noise(2, 48, 48, 3)})
    packed = fercli.pack(data.path, tmp_path / "pack")
    assert packed_as_they_were(packed)
    assert verify_split(open_pack(packed, changed=True), "train").changed.size == 0
    change(packed, "train/images", 0, 7)
    assert verify_split(open_pack(packed, changed=True), "train").changed.tolist() == [0]


def test_of_resized_images_only_the_whole_file_tells(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "train/happy/2.png": face(2)})
    packed = open_artifact(fercli.pack(data.path, tmp_path / "pack", size=16).path)
    info = open_pack(packed, changed=True)
    assert not packed_as_they_were(packed)
    found = verify_split(info, "train", as_they_were=False)
    assert (found.changed.size, found.unknown) == (0, 2)
    change(packed, "train/images", 0, 7)
    assert not is_unchanged(packed, info)


def test_a_missing_split_is_told(pack: Artifact) -> None:
    with pytest.raises(DataError, match="has no validation split"):
        verify_split(open_pack(pack, changed=True), "validation")
