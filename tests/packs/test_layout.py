"""The table of a pack's shards: one that disagrees with the splits is refused before any shard is opened."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from fercli.artifacts import Artifact
from fercli.errors import DataError
from fercli.packs import shards
from fercli.packs.file import FILE, read_info
from fercli.packs.opening import open_pack
from tests.helpers.shards import edit_index, make_sharded


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return {codec: make_sharded(tmp_path_factory.mktemp(codec), codec=codec) for codec in ("raw", "jpeg")}


def replace(file: h5py.File, name: str, data: object) -> None:
    del file[name]
    file[name] = data


def one_more(file: h5py.File, name: str) -> None:
    file[name][0] += 1


LINK = h5py.ExternalLink("other.h5", "/shards")
BREAKS: dict[str, Callable[[h5py.File], object]] = {
    "no table": lambda f: f.pop("shards"),
    "the table is a link": lambda f: (f.pop("shards"), f.__setitem__("shards", LINK)),
    "the table is an array": lambda f: replace(f, "shards", np.zeros(3)),
    "no shards": lambda f: [
        replace(f, f"shards/{name}", np.zeros((0, 32) if name == "sha256" else 0, f[f"shards/{name}"].dtype))
        for name in ("images", "bytes", "sha256")
    ],
    "tables of different length": lambda f: replace(f, "shards/bytes", np.ones(2, np.uint64)),
    "more images than the splits": lambda f: one_more(f, "shards/images"),
    "an empty shard": lambda f: replace(f, "shards/images", np.array([0, 12, 23], np.uint64)),
    "images signed": lambda f: replace(f, "shards/images", np.array([-1, 12, 24], np.int64)),
    "images beyond any number": lambda f: replace(f, "shards/images", np.array([2**64 - 1, 12, 24], np.uint64)),
    "another size": lambda f: one_more(f, "shards/bytes"),
    "digests too short": lambda f: replace(f, "shards/sha256", np.zeros((3, 16), np.uint8)),
    "an unknown codec": lambda f: f.attrs.update(codec="lossless"),
    "a codec that is a number": lambda f: f.attrs.update(codec=1),
    "no codec": lambda f: f.attrs.pop("codec"),
    "the format of a single file": lambda f: f.attrs.update(format=1),
    "a newer format": lambda f: f.attrs.update(format=3),
    "no labels": lambda f: f.pop("train/labels"),
    "the other codec": lambda f: f.attrs.update(codec="raw" if "train/lengths" in f else "jpeg"),
}
JPEG_BREAKS: dict[str, Callable[[h5py.File], object]] = {
    "no lengths": lambda f: f.pop("train/lengths"),
    "lengths of another type": lambda f: replace(f, "train/lengths", np.full(24, 300.0)),
    "fewer lengths": lambda f: replace(f, "train/lengths", f["train/lengths"][:-1]),
    "a length of nothing": lambda f: f["train/lengths"].__setitem__(3, 0),
    "a length of 4 GB": lambda f: f["train/lengths"].__setitem__(3, 2**32 - 1),
    "a longer image": lambda f: one_more(f, "train/lengths"),
    "no digests of the bytes": lambda f: f.pop("test/encoded_sha256"),
}


def check(pack: Artifact, folder: Path, change: Callable[[h5py.File], object]) -> None:
    shutil.copytree(pack.path, folder)
    with h5py.File(folder / FILE, "r+") as file:
        change(file)
    shutil.rmtree(folder / "shards")  # the index alone is refused
    with pytest.raises(DataError, match=r"re-pack the dataset|update fercli|not uint|not str|its splits") as caught:
        read_info(folder / FILE)
    assert str(folder / FILE) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
@pytest.mark.parametrize("name", BREAKS)
def test_malformed_tables_are_refused(packs: dict[str, Artifact], codec: str, name: str, tmp_path: Path) -> None:
    check(packs[codec], tmp_path / "pack", BREAKS[name])


@pytest.mark.parametrize("name", JPEG_BREAKS)
def test_malformed_lengths_are_refused(packs: dict[str, Artifact], name: str, tmp_path: Path) -> None:
    check(packs["jpeg"], tmp_path / "pack", JPEG_BREAKS[name])


def test_too_many_shards_are_refused(
    packs: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fercli.packs.layout.MAX_SHARDS", 2)
    check(packs["raw"], tmp_path / "pack", lambda _: None)


def test_names_of_shards_are_not_in_the_index(packs: dict[str, Artifact], tmp_path: Path) -> None:
    """So no index can name a file outside of its pack."""
    shutil.copytree(packs["raw"].path, tmp_path / "pack")
    pack = Artifact(tmp_path / "pack", packs["raw"].manifest)
    info = open_pack(edit_index(pack, lambda _: None))
    assert [one.file for one in info.shards] == [shards.file_of(tmp_path / "pack", k) for k in range(3)]
