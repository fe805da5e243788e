"""Only unmodified packs are opened; damage with a matching manifest is detected within resource limits."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.errors import DataError
from fercli.packs import integrity
from fercli.packs.file import FILE
from fercli.packs.opening import open_pack
from tests.helpers.packs import make_pack


@pytest.fixture
def pack(tmp_path: Path) -> Artifact:
    return make_pack(tmp_path / "pack", {"train": 5, "test": 3}, side=8, libver="earliest")


def update_manifest(pack: Artifact) -> Artifact:
    """Update the manifest's digest to match the file."""
    fields = json.loads((pack.path / MANIFEST).read_text())
    (pack.path / MANIFEST).write_text(json.dumps({**fields, "digest": digest_file(pack.path / FILE)}))
    return open_artifact(pack.path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train/images", "train/labels", "test/paths", "test/sha256"])
def test_modified_packs_are_refused(pack: Artifact, name: str) -> None:
    with h5py.File(pack.path / FILE, "r+") as file:
        changed = file[name][()]
        changed[0] = changed[-1]
        file[name][()] = changed
    with pytest.raises(DataError, match=r"faces\.h5: was modified or damaged after packing .* re-pack the dataset"):
        open_pack(pack)
    assert open_pack(pack, allow_modified=True).counts == {"train": 5, "test": 3}


def test_any_changed_byte_is_detected_before_hdf5_opens_the_file(
    pack: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("HDF5 opened a modified file")

    monkeypatch.setattr(h5py, "File", opened)
    path = pack.path / FILE
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    for at in draw.permutation(len(whole))[:1500]:
        with path.open("r+b") as file:
            for byte in (whole[at] ^ (1 << int(draw.integers(8))), whole[at]):
                file.seek(int(at))
                file.write(bytes([byte]))
                file.flush()
                if byte != whole[at]:
                    with pytest.raises(DataError, match="modified or damaged"):
                        open_pack(pack)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("near", "at", "bit"),
    [
        (b"GCOL", 9, 0x02),  # size of the string heap: HDF5 1.14 loops forever looking for its end
        (b"GCOL", 25, 0x02),  # size of a string in it: likewise
        (b"emotions\0", 17, 0x02),  # class of an attribute's type: HDF5 crashes
    ],
)
def test_damage_with_a_matching_manifest_is_refused_within_limits(
    pack: Artifact, monkeypatch: pytest.MonkeyPatch, near: bytes, at: int, bit: int
) -> None:
    monkeypatch.setattr(integrity, "SECONDS", 1)
    path = pack.path / FILE
    data = bytearray(path.read_bytes())
    data[data.index(near) + at] ^= bit
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        open_pack(update_manifest(pack))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("child", "why"), [("while True: pass", "more than 1 s"), ("import os; os.abort()", "crashes")]
)
def test_files_that_hang_or_crash_hdf5_are_refused(
    pack: Artifact, monkeypatch: pytest.MonkeyPatch, child: str, why: str
) -> None:
    limits = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1)); "
    monkeypatch.setattr(integrity, "SECONDS", 1)
    monkeypatch.setattr(integrity, "CHILD", limits + child)
    (integrity.cache_folder() / "packs" / pack.manifest.digest).unlink()
    with pytest.raises(DataError, match=rf"faces\.h5: opening it takes .*{why}"):
        open_pack(pack)


@pytest.mark.slow
def test_unknown_pack_is_opened_in_a_subprocess_only_once(pack: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = integrity.cache_folder() / "packs" / pack.manifest.digest
    remembered.unlink()
    assert open_pack(pack).counts == {"train": 5, "test": 3}
    assert remembered.exists()
    monkeypatch.setattr(integrity, "CHILD", "raise SystemExit(1)")
    assert open_pack(pack).counts == {"train": 5, "test": 3}


@pytest.mark.slow
def test_packs_open_without_a_cache(pack: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERCLI_CACHE", str(pack.path / FILE))  # not a folder
    assert open_pack(pack).counts == {"train": 5, "test": 3}


def test_digest_of_large_files_is_cached(pack: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "ALWAYS_HASHED", 0)
    first = open_pack(pack)
    monkeypatch.setattr("fercli.artifacts.digests.digest_file", lambda _: pytest.fail("the file was read again"))
    assert open_pack(pack).counts == first.counts
