"""Pack files: they round-trip, and malformed or malicious ones are refused with a one-line error."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from fercli.artifacts import Artifact
from fercli.errors import DataError
from fercli.images import pixel_digest
from fercli.packs.file import FILE, read_digests, read_info, read_labels, read_split, read_votes
from fercli.packs.opening import open_pack
from tests.helpers.datasets import noise
from tests.helpers.packs import make_pack


@pytest.fixture
def pack(tmp_path: Path) -> Artifact:
    return make_pack(tmp_path / "pack", {"train": 5, "test": 3}, side=8)


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_written_packs_are_read_back(tmp_path: Path, color: str) -> None:
    shape = (4, 8, 8) if color == "gray" else (4, 8, 8, 3)
    images = noise(1, *shape)
    paths = {"test": ["a", "Ünï/代.png", "c d", 'e"f']}
    made = make_pack(tmp_path / "p", {"test": 4}, side=8, color=color, images={"test": images}, paths=paths)
    info = open_pack(made)
    assert (info.size, info.color, info.counts, info.digest) == (8, color, {"test": 4}, made.manifest.digest)
    assert info.channels == (1 if color == "gray" else 3)
    assert info.image_bytes("test") == images.nbytes
    found = read_split(info, "test")
    assert (found.images == images).all()
    assert found.labels.tolist() == read_labels(info, "test").tolist() == [0, 1, 2, 3]
    assert found.paths == paths["test"]
    assert [bytes(row).hex() for row in found.sha256] == [pixel_digest(image) for image in images]
    assert (read_digests(info, "test") == found.sha256).all()


def test_images_are_contiguous_uint8(pack: Artifact) -> None:
    with h5py.File(pack.path / FILE) as file:
        images = file["train/images"]
        assert images.dtype == np.uint8
        assert images.chunks is None
        assert images.compression is None
        offset, pixels = images.id.get_offset(), images[()]
    raw = (pack.path / FILE).read_bytes()[offset : offset + pixels.nbytes]
    assert raw == pixels.tobytes()


def test_missing_split_error_lists_the_existing_ones(pack: Artifact) -> None:
    info = open_pack(pack)
    for read in (read_split, read_labels, read_digests):
        with pytest.raises(DataError, match="has no validation split; it has train, test"):
            read(info, "validation")


def test_votes_are_read_back(tmp_path: Path, pack: Artifact) -> None:
    info = open_pack(pack)
    assert info.splits_with_votes == frozenset()
    assert read_votes(info, "train") is None
    assert read_split(info, "train").votes is None
    shares = np.random.default_rng(0).dirichlet(np.ones(7), 4).astype(np.float32)
    voted = open_pack(make_pack(tmp_path / "voted", {"train": 4, "test": 3}, votes={"train": shares}))
    assert voted.splits_with_votes == {"train"}
    assert np.array_equal(read_votes(voted, "train"), shares)
    found = read_split(voted, "train").votes
    assert found is not None
    assert found.dtype == np.float32
    assert np.array_equal(found, shares)
    assert read_votes(voted, "test") is None
    with pytest.raises(DataError, match="has no validation split"):
        read_votes(voted, "validation")


def replace(file: h5py.File, name: str, data: object, **options: object) -> None:
    del file[name]
    file.create_dataset(name, data=data, **options)


def declare(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    """Declare a shape without data, so that the file stays small."""
    del file[name]
    file.create_dataset(name, shape, np.uint8)


def link(file: h5py.File, name: str, to: object) -> None:
    del file[name]
    file[name] = to


def external(file: h5py.File) -> None:
    secret = Path(file.filename).parent / "secret"
    secret.write_bytes(bytes(5 * 64))
    del file["train/images"]
    file.create_dataset("train/images", (5, 8, 8), np.uint8, external=[(str(secret), 0, 5 * 64)])


EVEN = np.full((5, 7), 1 / 7, np.float32)


def votes(file: h5py.File, face: int, shares: list[float]) -> None:
    file.create_dataset("train/votes", data=EVEN)
    file["train/votes"][face] = shares


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((5, 8, 8), np.uint8)
    layout[:3] = h5py.VirtualSource(".", "test/images", (3, 8, 8))
    del file["train/images"]
    file.create_virtual_dataset("train/images", layout)


BREAKS: dict[str, Callable[[h5py.File], object]] = {
    "no format": lambda f: f.attrs.pop("format"),
    "no emotions": lambda f: f.attrs.pop("emotions"),
    "future format": lambda f: f.attrs.update(format=99),
    "format is text": lambda f: f.attrs.update(format="one"),
    "format is a list": lambda f: f.attrs.update(format=[1, 2]),
    "emotions are not JSON": lambda f: f.attrs.update(emotions="angry"),
    "emotions are a number": lambda f: f.attrs.update(emotions="7"),
    "emotions are empty": lambda f: f.attrs.update(emotions="[]"),
    "emotions are numbers": lambda f: f.attrs.update(emotions="[1, 2]"),
    "fewer emotions than labels": lambda f: f.attrs.update(emotions=json.dumps(["angry"])),
    "size does not match": lambda f: f.attrs.update(size=9),
    "emotions repeat": lambda f: f.attrs.update(emotions=json.dumps(["angry", "angry", "sad", "fear", "happy"])),
    "emotions unknown": lambda f: f.attrs.update(emotions=json.dumps(["angry", "sad", "fear", "bored", "happy"])),
    "emotions nested": lambda f: f.attrs.update(emotions="[" * 4000),
    "emotions long": lambda f: f.attrs.update(emotions=json.dumps(["angry" * 2000])),
    "emotions in bytes": lambda f: f.attrs.update(emotions=np.bytes_(b"\xff\xfe")),
    "size fractional": lambda f: f.attrs.update(size=8.5),
    "size is NaN": lambda f: f.attrs.update(size=np.nan),
    "size infinite": lambda f: f.attrs.update(size=np.inf),
    "size negative": lambda f: f.attrs.update(size=-8),
    "size complex": lambda f: f.attrs.update(size=8 + 0j),
    "format fractional": lambda f: f.attrs.update(format=0.5),
    "size is zero": lambda f: f.attrs.update(size=0),
    "size huge": lambda f: f.attrs.update(size=2**40),
    "colour does not match": lambda f: f.attrs.update(color="rgb"),
    "colour unknown": lambda f: f.attrs.update(color="blue"),
    "no split": lambda f: [f.pop(name) for name in list(f)],
    "split is not a group": lambda f: replace(f, "train", np.zeros(3)),
    "no images": lambda f: f.pop("train/images"),
    "no labels": lambda f: f.pop("train/labels"),
    "no paths": lambda f: f.pop("train/paths"),
    "no digests": lambda f: f.pop("train/sha256"),
    "images are a group": lambda f: (f.pop("train/images"), f.create_group("train/images")),
    "labels are a group": lambda f: (f.pop("train/labels"), f.create_group("train/labels")),
    "images are a scalar": lambda f: replace(f, "train/images", 3),
    "images are empty": lambda f: replace(f, "train/images", h5py.Empty("u1")),
    "images are floats": lambda f: replace(f, "train/images", np.zeros((5, 8, 8), np.float32)),
    "images have another size": lambda f: replace(f, "train/images", np.zeros((5, 8, 9), np.uint8)),
    "more images than labels": lambda f: replace(f, "train/images", np.zeros((6, 8, 8), np.uint8)),
    "label outside the emotions": lambda f: replace(f, "train/labels", np.full(5, 7, np.uint8)),
    "labels are signed": lambda f: replace(f, "train/labels", np.full(5, -1)),
    "labels are wide": lambda f: replace(f, "train/labels", np.zeros(5, np.uint64)),
    "labels are strings": lambda f: replace(f, "train/labels", ["a"] * 5),
    "paths are numbers": lambda f: replace(f, "train/paths", np.zeros(5)),
    "paths are references": lambda f: replace(f, "train/paths", np.array([f.ref] * 5, object), dtype=h5py.ref_dtype),
    "digests are short": lambda f: replace(f, "train/sha256", np.zeros((5, 16), np.uint8)),
    "votes have another shape": lambda f: f.create_dataset("train/votes", data=np.full((5, 6), 1 / 6, np.float32)),
    "votes have another type": lambda f: f.create_dataset("train/votes", data=np.eye(7)[:5]),
    "votes are a group": lambda f: f.create_group("train/votes"),
    "votes negative": lambda f: votes(f, 0, [-0.5, 1.5, 0, 0, 0, 0, 0]),
    "votes are NaN": lambda f: votes(f, 4, [np.nan, 1, 0, 0, 0, 0, 0]),
    "votes infinite": lambda f: votes(f, 2, [np.inf, 0, 0, 0, 0, 0, 0]),
    "votes sum to less than 1": lambda f: votes(f, 3, [0.5, 0.4, 0, 0, 0, 0, 0]),
    "votes sum to 0": lambda f: votes(f, 1, [0] * 7),
    "votes declared without data": lambda f: f.create_dataset("train/votes", (5, 7), np.float32),
    "votes compressed": lambda f: f.create_dataset("train/votes", data=EVEN, compression="gzip"),
    "votes in another file": lambda f: f.__setitem__("train/votes", h5py.ExternalLink("other.h5", "/train/images")),
    "images declared without data": lambda f: declare(f, "train/images", (5, 8, 8)),
    "labels declared without data": lambda f: declare(f, "train/labels", (5,)),
    "images larger than memory": lambda f: declare(f, "train/images", (2**40, 8, 8)),
    "images compressed": lambda f: replace(f, "train/images", np.zeros((5, 8, 8), np.uint8), compression="gzip"),
    "images in external storage": external,
    "images virtual": virtual,
    "images are a soft link": lambda f: link(f, "train/images", h5py.SoftLink("/test/images")),
    "split in another file": lambda f: link(f, "train", h5py.ExternalLink("other.h5", "/train")),
    "images in another file": lambda f: link(f, "train/images", h5py.ExternalLink("other.h5", "/train/images")),
}


@pytest.mark.parametrize("name", BREAKS)
def test_malformed_packs_are_refused(pack: Artifact, name: str) -> None:
    path = pack.path / FILE
    (pack.path / "other.h5").write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        BREAKS[name](file)
    with pytest.raises(DataError, match=r"re-pack the dataset|update fercli|not uint8|not str") as caught:
        read_info(path)
    assert str(path) in str(caught.value)


def test_newer_format_is_refused(pack: Artifact) -> None:
    with h5py.File(pack.path / FILE, "r+") as file:
        file.attrs.update(format=99)
    with pytest.raises(DataError, match=r"format 99 is newer .*; update fercli"):
        read_info(pack.path / FILE)


def test_truncated_files_are_refused(pack: Artifact) -> None:
    path = pack.path / FILE
    whole = path.read_bytes()
    for length in [0, 1, 8, 100, *range(200, len(whole), len(whole) // 23), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="not a valid pack"):
            read_info(path)
    path.write_bytes(whole)
    assert open_pack(pack).counts == {"train": 5, "test": 3}


@pytest.mark.parametrize("content", [b"a text", b"\x89PNG\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(2000)])
def test_other_file_types_are_refused(pack: Artifact, content: bytes) -> None:
    (pack.path / FILE).write_bytes(content)
    with pytest.raises(DataError, match="not a valid pack"):
        read_info(pack.path / FILE)


def test_missing_file_is_reported(pack: Artifact) -> None:
    info = open_pack(pack)
    (pack.path / FILE).unlink()
    for call in (lambda: open_pack(pack), lambda: read_split(info, "train")):
        with pytest.raises(DataError, match="the pack's file is missing"):
            call()
