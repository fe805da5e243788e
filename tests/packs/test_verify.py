"""Verifying a pack: changed pixels, changed labels, and resized images, which cannot be checked."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.errors import DataError
from fercli.packs.file import FILE
from fercli.packs.opening import open_pack
from fercli.packs.verify import is_lossless, is_unchanged, verify_split
from tests.helpers.datasets import face, make_dataset, noise
from tests.helpers.packs import make_pack


@pytest.fixture(params=["gray", "rgb"])
def pack(tmp_path: Path, request: pytest.FixtureRequest) -> Artifact:
    return make_pack(tmp_path / "pack", {"train": 5, "test": 3}, side=8, color=request.param)


def change(pack: Artifact, name: str, index: int, value: int) -> None:
    """Change one entry of an array in the pack's file, in place."""
    with h5py.File(pack.path / FILE, "r+") as file:
        array = file[name]
        row = array[index]
        array[index] = np.full_like(row, value) if row.shape else value


def test_unmodified_pack_passes(pack: Artifact) -> None:
    info = open_pack(pack, allow_modified=True)
    assert is_unchanged(pack, info)
    for split in info.counts:
        found = verify_split(info, split)
        assert (found.changed.tolist(), found.relabelled.tolist(), found.unknown) == ([], [], 0)


def test_changed_images_and_labels_are_found(pack: Artifact) -> None:
    info = open_pack(pack, allow_modified=True)
    change(pack, "train/images", 3, 7)
    change(pack, "train/labels", 1, 4)
    assert not is_unchanged(pack, info)
    found = verify_split(info, "train")
    assert (found.changed.tolist(), found.relabelled.tolist()) == ([3], [1])
    assert verify_split(info, "test").changed.size == 0


@pytest.mark.slow
def test_chunks_do_not_shift_the_indices(pack: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercli.packs.verify.CHUNK", 2)
    change(pack, "train/images", 2, 7)
    change(pack, "train/labels", 4, 0)
    found = verify_split(open_pack(pack, allow_modified=True), "train")
    assert (found.changed.tolist(), found.relabelled.tolist()) == ([2], [4])


@pytest.mark.slow
def test_grey_images_in_rgb_packs_are_checked_as_grey(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "train/happy/2.png": noise(2, 48, 48, 3)})
    packed = fercli.pack(data.path, tmp_path / "pack")
    assert is_lossless(packed)
    assert verify_split(open_pack(packed, allow_modified=True), "train").changed.size == 0
    change(packed, "train/images", 0, 7)
    assert verify_split(open_pack(packed, allow_modified=True), "train").changed.tolist() == [0]


def test_resized_images_are_covered_by_the_file_digest_only(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "train/happy/2.png": face(2)})
    packed = open_artifact(fercli.pack(data.path, tmp_path / "pack", size=16).path)
    info = open_pack(packed, allow_modified=True)
    assert not is_lossless(packed)
    found = verify_split(info, "train", lossless=False)
    assert (found.changed.size, found.unknown) == (0, 2)
    change(packed, "train/images", 0, 7)
    assert not is_unchanged(packed, info)


def test_missing_split_is_refused(pack: Artifact) -> None:
    with pytest.raises(DataError, match="has no validation split"):
        verify_split(open_pack(pack, allow_modified=True), "validation")
