"""Packs with shards: the images are there, shuffled, and shards that are not as they were packed are refused."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import Row
from fercli.errors import DataError, UsageError
from fercli.images import pixel_digest
from fercli.packs.file import FILE, read_split, stored_images
from fercli.packs.opening import open_pack
from fercli.packs.shards import stored_order
from fercli.verification import verify
from tests.helpers.shards import COUNTS, edit_index, make_images, make_sharded, update_shard_digests


@pytest.fixture(params=["raw", "jpeg"])
def pack(request: pytest.FixtureRequest, tmp_path: Path) -> Artifact:
    return make_sharded(tmp_path, codec=request.param)


@pytest.mark.parametrize("color", ["gray", "rgb"])
@pytest.mark.parametrize("shards", [1, 3, 35])
def test_every_image_is_where_the_index_says(tmp_path: Path, color: str, shards: int) -> None:
    info = open_pack(made := make_sharded(tmp_path, color, shards=shards))
    assert info.counts == COUNTS
    assert [shard.file.name for shard in info.shards] == [f"{k + 1:05d}.bin" for k in range(shards)]
    assert max(shard.images for shard in info.shards) - min(shard.images for shard in info.shards) <= 1
    images = make_images(color)
    for split in COUNTS:
        found = read_split(info, split)
        assert sorted(found.paths) == sorted(path for path in images if path.startswith(split))
        for k, path in enumerate(found.paths):
            assert (found.images[k] == images[path]).all()
            assert (stored_images(info, split)[k] == images[path]).all()
            assert found.sha256[k].tobytes().hex() == pixel_digest(images[path])
            assert info.emotions[found.labels[k]] == path.split("/")[1]
    assert made.manifest.digest == digest_file(made.path / FILE)
    assert made.summary["storage"] == {
        "shards": shards, "codec": "raw", "bytes": 35 * 256 * info.channels, "order": "shuffled",
    }  # fmt: skip
    assert made.manifest.files == {}  # the digest of the pack covers its shards


def test_jpeg_packs_hold_nearly_the_same_pixels(tmp_path: Path) -> None:
    info = open_pack(made := make_sharded(tmp_path, codec="jpeg", quality=90))
    found = read_split(info, "train")
    images = make_images()
    for face, path in zip(found.images, found.paths, strict=True):
        assert 0 < np.abs(face.astype(int) - images[path]).mean() < 8
    assert (made.summary["storage"]["codec"], made.summary["storage"]["quality"]) == ("jpeg", 90)
    assert made.summary["storage"]["bytes"] == sum(shard.bytes for shard in info.shards)
    assert info.stored_bytes == made.summary["storage"]["bytes"] // 35


def test_rows_are_shuffled_by_their_path_alone() -> None:
    rows = [Row(f"{split}/{e}/{k}.png", split, e) for split in ("test", "train") for e in "ab" for k in range(100)]
    ordered = stored_order(rows)
    assert ordered == stored_order(rows[::-1])
    assert [row.split for row in ordered] == ["train"] * 200 + ["test"] * 200
    emotions = np.array([row.emotion == "a" for row in ordered[:200]])
    changes = int((emotions[1:] != emotions[:-1]).sum())
    assert 70 < changes < 130  # 100 expected, with a deviation of 7; sorted by emotion, 1


def test_packing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    for options in ({}, {"codec": "jpeg"}):
        one, two = (
            make_sharded(tmp_path / f"{len(options)}-{workers}", workers=workers, **options) for workers in (0, 3)
        )
        assert one.manifest.digest == two.manifest.digest
        assert one.manifest.key == two.manifest.key
        for file in (one.path / "shards").iterdir():
            assert file.read_bytes() == (two.path / "shards" / file.name).read_bytes()


def test_options_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    make_sharded(tmp_path)
    for options, message in (
        ({"shards": 36}, "36 shards for 35 images; set fewer"),
        ({"shards": 0, "codec": "jpeg"}, "shards: JPEG is stored in shards"),
        ({"quality": 50}, "quality: is that of JPEG; set codec to jpeg too"),
    ):
        with pytest.raises(UsageError, match=message):
            fercli.pack(tmp_path / "data", tmp_path / "other", **options)
    assert not (tmp_path / "other").exists()


# --- damaged and hostile packs ---


def test_damaged_shards_are_refused_and_found_by_verify(pack: Artifact) -> None:
    assert verify(pack) == []
    shard = pack.path / "shards" / "00002.bin"
    whole = bytearray(shard.read_bytes())
    whole[len(whole) // 2] ^= 4
    shard.write_bytes(whole)
    with pytest.raises(DataError, match=r"00002\.bin: was modified or exchanged after packing .*; re-pack the dataset"):
        open_pack(pack)
    faults = [str(fault) for fault in verify(pack)]
    assert "shards/00002.bin: was changed" in faults
    assert sum("its pixels were changed" in fault for fault in faults) == 1  # the one image
    shard.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"00002\.bin: has [\d,]+ bytes instead of [\d,]+; re-pack the dataset"):
        open_pack(pack)
    shard.unlink()
    with pytest.raises(DataError, match=r"00002\.bin: this shard of the pack is missing; re-pack the dataset"):
        open_pack(pack)
    assert "this shard of the pack is missing" in str(verify(pack)[0])


def test_exchanged_shards_are_refused(pack: Artifact, tmp_path: Path) -> None:
    one, two = (pack.path / "shards" / f"0000{k}.bin" for k in (2, 3))
    shutil.move(one, tmp_path / "one")
    shutil.move(two, one)
    shutil.move(tmp_path / "one", two)
    with pytest.raises(DataError, match=r"was modified or exchanged|bytes instead of"):
        open_pack(pack)


def test_links_and_pipes_in_place_of_shards_are_refused(pack: Artifact, tmp_path: Path) -> None:
    shard = pack.path / "shards" / "00001.bin"
    shutil.move(shard, tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is not a file of the pack's own but a link or something else"):
        open_pack(pack)
    shard.unlink()
    os.mkfifo(shard)
    with pytest.raises(DataError, match="is not a file of the pack's own but a link or something else"):
        open_pack(pack)


def test_a_forged_jpeg_is_refused_when_it_is_read(tmp_path: Path) -> None:
    pack = make_sharded(tmp_path, codec="jpeg", shards=1)
    shard = pack.path / "shards" / "00001.bin"
    data = bytearray(shard.read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"  # the first image claims 65,535 x 65,535 pixels
    shard.write_bytes(data)
    info = open_pack(update_shard_digests(pack))
    with pytest.raises(DataError, match=r"00001\.bin: image at byte 0: is not a baseline JPEG of the pack's size"):
        read_split(info, "train")


def test_a_file_that_shrinks_after_opening_is_an_error(pack: Artifact) -> None:
    info = open_pack(pack)
    os.truncate(pack.path / "shards" / "00001.bin", 10)
    with pytest.raises(DataError, match=r"00001\.bin: ends early, at byte 10; re-pack the dataset"):
        read_split(info, "train")


def test_an_index_of_another_pack_is_refused(tmp_path: Path) -> None:
    one = make_sharded(tmp_path / "one")
    two = make_sharded(tmp_path / "two", shards=5)
    shutil.copy(one.path / FILE, two.path / FILE)
    two = edit_index(two, lambda _: None)
    with pytest.raises(DataError, match="bytes instead of"):
        open_pack(two)
