"""Reading images in blocks: any rows, any repeats, from several files, whatever the size of a block."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fercli.artifacts import Artifact
from fercli.errors import DataError
from fercli.packs import stored
from fercli.packs.file import PackInfo, read_split, stored_images
from fercli.packs.opening import open_pack
from fercli.packs.stored import chunk_edges
from tests.helpers.packs import make_pack
from tests.helpers.shards import make_sharded


@pytest.fixture(scope="module", params=["single", "raw", "jpeg"])
def info(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PackInfo:
    folder = tmp_path_factory.mktemp("packs")
    if request.param == "single":
        return open_pack(make_pack(folder / "pack", {"train": 24, "validation": 6}, color="rgb"))
    pack: Artifact = make_sharded(folder, "rgb", codec=request.param)
    return open_pack(pack)


@pytest.mark.parametrize("gap", [0, 1 << 16])
@pytest.mark.parametrize("block", [1, 2000, 4 << 20])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(rows=st.lists(st.integers(0, 23), max_size=40))
def test_any_rows_are_read(info: PackInfo, block: int, gap: int, rows: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "BLOCK", block)
        patch.setattr(stored, "GAP", gap)
        images = stored_images(info, "train")
        whole = images.read()
        assert (images.read(np.array(rows, np.int64)) == whole[rows]).all()
        assert (images.select(np.arange(23, -1, -1)).read(np.array(rows, np.int64)) == whole[::-1][rows]).all()


def test_repeats_that_are_as_long_as_the_gaps(info: PackInfo) -> None:
    rows = np.array([7, 10, 10, 10])
    images = stored_images(info, "train")
    assert (images.read(rows) == images.read()[rows]).all()


def test_all_ways_of_reading_agree(info: PackInfo) -> None:
    for split, count in info.counts.items():
        images, whole = stored_images(info, split), read_split(info, split).images
        assert (len(images), images.shape) == (count, whole.shape)
        out = np.zeros_like(whole)
        assert images.read(out=out) is out
        assert (out == whole).all()
        assert all((images[k] == whole[k]).all() for k in range(count))
        assert images.stored_bytes == sum(map(len, images.encoded(np.arange(count))))


def test_rows_that_do_not_exist_are_an_error(info: PackInfo) -> None:
    with pytest.raises(IndexError):
        stored_images(info, "validation").read(np.array([6]))
    with pytest.raises(DataError, match="has no unlabelled split"):
        stored_images(info, "unlabelled")


def test_neighbours_are_read_at_once(info: PackInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    preadv = stored.os.preadv
    monkeypatch.setattr(stored.os, "preadv", lambda *given: reads.append(given[2]) or preadv(*given))
    stored_images(info, "train").read(np.random.default_rng(0).permutation(24))
    assert len(reads) == max(1, len(info.shards))  # one per file


def test_a_chunk_is_for_the_same_part_of_the_epoch_on_every_device() -> None:
    assert chunk_edges([], 0, 5) == [0]
    assert chunk_edges([4, 4, 2], 10, 100) == [0, 3]
    assert chunk_edges([8] * 6, 48, 16) == [0, 2, 4, 6]
    assert chunk_edges([2] * 6, 48, 16) == [0, 2, 4, 6]  # one of four devices
    assert chunk_edges([5, 5, 5, 5], 20, 8) == [0, 2, 4]  # a batch belongs where it begins
    assert chunk_edges([3, 3], 6, 1) == [0, 1, 2]
