"""`fercli.pack`: pixels, sizes, colours, and leaks."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import Row
from fercli.datasets.split_leaks import find_leaks
from fercli.errors import DataError, FerError, LeakError, UsageError
from fercli.images import as_color, encode_png, fit_square, pixel_digest
from fercli.packs.file import FILE, read_split
from fercli.packs.opening import open_pack
from tests.helpers.datasets import face, make_dataset, names, noise, python

IMAGES = {
    "train/sad/1.png": face(1),
    "train/happy/2.png": face(2),
    "train/sad/3.png": face(3),
    "validation/happy/4.png": face(4),
    "test/sad/5.png": face(5),
}


@pytest.fixture
def dataset(tmp_path: Path) -> Artifact:
    return make_dataset(tmp_path / "data", IMAGES)


# --- contents ---


def test_images_keep_their_pixels_by_default(dataset: Artifact, tmp_path: Path) -> None:
    made = fercli.pack(dataset.path, tmp_path / "pack")
    info = open_pack(open_artifact(made.path, "pack"))
    assert (info.size, info.color, info.emotions) == (48, "gray", ("happy", "sad"))
    for split, count in info.counts.items():
        found = read_split(info, split)
        assert len(found.images) == count
        assert found.images.flags.c_contiguous
        assert found.images.dtype == np.uint8
        for image, label, path, digest in zip(found.images, found.labels, found.paths, found.sha256, strict=True):
            assert (image == IMAGES[path]).all()
            assert path.split("/")[:2] == [split, info.emotions[label]]
            assert bytes(digest).hex() == pixel_digest(IMAGES[path])
    assert made.summary == {
        "images": {"train": 3, "validation": 1, "test": 1},
        "emotions": ["happy", "sad"],
        "size": 48,
        "color": "gray",
        "leaks": 0,
    }
    assert made.manifest.digest == digest_file(made.path / FILE)


@pytest.mark.slow
def test_packs_are_reproducible_for_any_number_of_workers(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {f"train/sad/{i}.png": face(i) for i in range(100)})
    packs = [fercli.pack(data.path, tmp_path / f"pack{workers}", workers=workers) for workers in (0, 1, 5)]
    time.sleep(1.1)  # HDF5 timestamps are in seconds: the file must not contain any
    packs.append(fercli.pack(data.path, tmp_path / "later"))
    assert len({(pack.path / FILE).read_bytes() for pack in packs}) == 1
    assert fercli.pack(data.path, tmp_path / "pack1", workers=3).up_to_date
    assert read_split(open_pack(packs[2]), "train").paths == [f"train/sad/{i}.png" for i in range(100)]


def test_mixed_sizes_are_refused(tmp_path: Path) -> None:
    mixed = make_dataset(tmp_path / "mixed", {"train/sad/1.png": face(1, 48), "train/sad/2.png": face(2, 64)})
    with pytest.raises(UsageError, match=r"not square, of equal size.*2 different sizes.*set --size N"):
        fercli.pack(mixed.path, tmp_path / "pack")
    oblong = make_dataset(tmp_path / "oblong", {"train/sad/1.png": face(1)[:30]})
    with pytest.raises(UsageError, match=r"48 x 30.*set --size N"):
        fercli.pack(oblong.path, tmp_path / "pack")
    assert names(tmp_path) == ["mixed", "oblong"]


@pytest.mark.parametrize("size", [16, 48, 100])
def test_resizing_keeps_the_aspect_ratio(tmp_path: Path, size: int) -> None:
    images = {"train/sad/1.png": face(1, 96)[:48], "train/sad/2.png": face(2, 40), "train/sad/3.png": face(3)[:, :9]}
    data = make_dataset(tmp_path / "data", images)
    found = read_split(open_pack(fercli.pack(data.path, tmp_path / "pack", size=size)), "train")
    for image, pixels in zip(found.images, images.values(), strict=True):
        assert image.shape == (size, size)
        assert (image == fit_square(pixels, size)).all()
    assert (found.images[0][: size // 4] == 0).all()  # the wide one has bars above and below
    assert (found.images[0][size // 2] > 0).any()


def test_colour_option(tmp_path: Path) -> None:
    grey, rgb = face(1), noise(2, 48, 48, 3)
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": grey, "train/sad/2.png": rgb})
    for color in (None, "rgb", "gray"):
        made = fercli.pack(data.path, tmp_path / f"{color}", color=color)
        expected = color or "rgb"
        assert made.summary["color"] == expected
        images = read_split(open_pack(made), "train").images
        for image, pixels in zip(images, (grey, rgb), strict=True):
            assert (image == as_color(pixels, expected)).all()  # type: ignore[arg-type]


def test_unlabelled_images_are_left_out(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "unlabelled/2.png": face(2)})
    assert fercli.pack(data.path, tmp_path / "pack").summary["images"] == {"train": 1}
    only = make_dataset(tmp_path / "only", {"unlabelled/2.png": face(2)})
    with pytest.raises(DataError, match="has no labelled images"):
        fercli.pack(only.path, tmp_path / "none")


@pytest.mark.slow
def test_images_larger_than_the_maximum_need_a_size(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": np.zeros((4097, 4097), np.uint8)})
    with pytest.raises(UsageError, match="set --size N"):
        fercli.pack(data.path, tmp_path / "pack")
    assert fercli.pack(data.path, tmp_path / "pack", size=48).summary["size"] == 48


# --- leaks ---


def leaky(folder: Path, first: np.ndarray, second: np.ndarray) -> Artifact:
    return make_dataset(folder, {"train/sad/1.png": first, "test/sad/2.png": second, "test/happy/3.png": face(30)})


def test_equal_pixels_across_splits_are_refused(tmp_path: Path) -> None:
    data = leaky(tmp_path / "data", face(1), face(1))
    with pytest.raises(
        LeakError,
        match=r"more than one split: 1 .*train/sad/1\.png and test/sad/2\.png.*fer clean.*--allow-leaks",
    ):
        fercli.pack(data.path, tmp_path / "pack")
    assert names(tmp_path) == ["data"]
    made = fercli.pack(data.path, tmp_path / "pack", allow_leaks=True)
    assert made.summary["leaks"] == 1
    assert made.manifest.options["allow_leaks"] is True


def test_equal_pixels_within_a_split_are_allowed(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "train/sad/2.png": face(1)})
    assert fercli.pack(data.path, tmp_path / "pack").summary["leaks"] == 0


def test_parent_and_child_across_splits_are_refused(tmp_path: Path) -> None:
    images = {"train/sad/1.png": face(1), "test/sad/2.png": face(2)}
    data = make_dataset(tmp_path / "data", images, {"test/sad/2.png": "train/sad/1.png"})
    with pytest.raises(LeakError, match=r"train/sad/1\.png and test/sad/2\.png"):
        fercli.pack(data.path, tmp_path / "pack")
    images = {"train/sad/1.png": face(1), "train/sad/2.png": face(2)}
    data = make_dataset(tmp_path / "data2", images, {"train/sad/2.png": "train/sad/1.png"})
    assert fercli.pack(data.path, tmp_path / "pack").summary["leaks"] == 0


def test_images_that_become_equal_by_packing_are_refused(tmp_path: Path) -> None:
    small = face(1, 24)
    large = np.repeat(np.repeat(small, 2, 0), 2, 1)
    data = leaky(tmp_path / "data", small, large)
    assert fercli.pack(data.path, tmp_path / "large", size=48, color="gray")
    with pytest.raises(LeakError):
        fercli.pack(data.path, tmp_path / "small", size=24)
    color = leaky(tmp_path / "color", face(1), as_color(face(1), "rgb"))
    with pytest.raises(LeakError):
        fercli.pack(color.path, tmp_path / "grey")


def test_find_leaks_returns_every_copy_across_splits() -> None:
    rows = [
        Row(f"{split}/sad/{i}.png", split, "sad", sha256=digest, parent=parent)
        for i, (split, digest, parent) in enumerate(
            [
                ("train", "a", ""),
                ("train", "a", ""),
                ("test", "a", ""),
                ("validation", "b", ""),
                ("test", "c", "train/sad/0.png"),
            ]
        )
    ]
    packed = ["1", "1", "2", "3", "3"]
    assert find_leaks(rows, packed) == [
        ("train/sad/0.png", "test/sad/2.png"),
        ("validation/sad/3.png", "test/sad/4.png"),
        ("train/sad/0.png", "test/sad/4.png"),
    ]
    assert find_leaks([], []) == []


# --- errors ---


def test_modified_missing_or_damaged_image_is_reported(dataset: Artifact, tmp_path: Path) -> None:
    path = dataset.path / "test/sad/5.png"
    path.write_bytes(encode_png(face(99)))
    with pytest.raises(DataError, match=r"test/sad/5\.png: was modified after the dataset was created"):
        fercli.pack(dataset.path, tmp_path / "pack")
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(DataError, match=r"test/sad/5\.png"):
        fercli.pack(dataset.path, tmp_path / "pack")
    path.unlink()
    with pytest.raises(DataError, match=r"test/sad/5\.png: no such file"):
        fercli.pack(dataset.path, tmp_path / "pack")
    assert names(tmp_path) == ["data"]


def test_emotion_missing_from_the_manifest_is_reported(dataset: Artifact, tmp_path: Path) -> None:
    file = dataset.path / "artifact.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "emotions": ["happy"]}))
    with pytest.raises(DataError, match="sad"):
        fercli.pack(dataset.path, tmp_path / "pack")


def test_wrong_kind_or_missing_dataset_is_refused(
    dataset: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fercli.pack(dataset.path, tmp_path / "pack")
    with pytest.raises(DataError, match="is a pack; expected a dataset"):
        fercli.pack(made.path, tmp_path / "again")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no dataset given, and none found under artifacts/"):
        fercli.pack()


def test_newest_dataset_is_the_default(dataset: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "artifacts"
    (home / "broken").mkdir(parents=True)
    (home / "broken" / "artifact.json").write_text("{")
    (home / "a file").write_text("")
    dataset.path.rename(home / "import-faces-012345")
    made = fercli.pack()
    assert made.path.name.startswith("pack-faces-")
    assert fercli.pack().up_to_date
    assert [i.path for i in made.manifest.inputs] == ["../import-faces-012345"]


def test_invalid_options_are_refused(dataset: Artifact, tmp_path: Path) -> None:
    for options, message in (({"size": 4}, "size: .*8"), ({"color": "blue"}, "color: .*'gray' or 'rgb'")):
        with pytest.raises(UsageError, match=message):
            fercli.pack(dataset.path, tmp_path / "pack", **options)


def test_full_disk_is_a_one_line_error_and_leaves_nothing(
    dataset: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "Can't write data (No space left on device)")

    monkeypatch.setattr("fercli.packs.writing.finish_split", full)
    with pytest.raises(FerError, match="the disk is full"):
        fercli.pack(dataset.path, tmp_path / "pack")
    assert names(tmp_path) == ["data"]


SLOW = """
import sys, time
import fercli
from fercli.packs import writing

def slow(*rest):
    print("here", flush=True)
    time.sleep(60)
writing.finish_split = slow
fercli.pack(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
def test_killed_pack_leaves_no_partial_artifact(dataset: Artifact, tmp_path: Path) -> None:
    process = python(SLOW, dataset.path, tmp_path / "pack")
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "pack").exists()
    made = fercli.pack(dataset.path, tmp_path / "pack")
    assert open_pack(made).counts == {"train": 3, "validation": 1, "test": 1}
    assert names(tmp_path) == ["data", "pack"]
