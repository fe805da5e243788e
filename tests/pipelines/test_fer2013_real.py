"""The way of the data on FER2013 itself, whole: import, clean, pack, with the figures known of it.

Needs the folder named by FERCLI_REAL_DATA, whose unpack.py rebuilds the challenge's CSV.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.datasets.index import read_index
from fercli.emotions import EMOTIONS
from fercli.errors import LeakError
from fercli.images import read_image
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack

HOME = os.environ.get("FERCLI_REAL_DATA", "")
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not HOME, reason="FERCLI_REAL_DATA names no folder"),
]

SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
COUNTS = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}


@pytest.fixture(scope="session")
def truth() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (35887, 48, 48), emotions and usages, in the challenge's order."""
    spec = importlib.util.spec_from_file_location("unpack", Path(HOME) / "unpack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images, emotions, usages = module.load()
    return images, emotions, usages


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fer2013")


@pytest.fixture(scope="session")
def faces(folder: Path) -> Artifact:
    table = folder / "fer2013.csv"
    subprocess.run([sys.executable, Path(HOME) / "unpack.py", "csv", table], check=True)
    return fercli.import_dataset(table, folder / "faces")


@pytest.fixture(scope="session")
def cleaned(faces: Artifact, folder: Path) -> Artifact:
    return fercli.clean(faces.path, folder / "cleaned")


def test_every_row_is_imported_pixel_for_pixel(faces: Artifact, truth: tuple[np.ndarray, ...]) -> None:
    images, emotions, usages = truth
    rows = read_index(faces)
    assert len(rows) == len(images) == 35_887
    for number, row in enumerate(rows):
        assert (row.row, row.emotion, row.split) == (str(number), EMOTIONS[emotions[number]], SPLITS[usages[number]])
        assert (read_image(faces.path / row.path) == images[number]).all(), row.path


def test_counts_are_the_published_ones(faces: Artifact) -> None:
    assert faces.manifest.counts == {s: dict(zip(EMOTIONS, n, strict=True)) for s, n in COUNTS.items()}
    assert faces.summary == {
        "images": {"train": 28_709, "validation": 3_589, "test": 3_589},
        "emotions": list(EMOTIONS),
        "skipped": {},
        "nearly_black": 12,  # the images of one constant value
    }


def test_cleaning_finds_the_known_copies(cleaned: Artifact) -> None:
    assert cleaned.summary["exact"] == {
        "groups": 1_516,
        "across_splits": 557,
        "test_in_train": 288,
        "validation_in_train": 280,
        "test_in_validation": 44,
        "conflicts": 57,
    }
    assert cleaned.summary["constant"] == 12


def test_the_set_as_published_is_packed_on_request_alone(
    faces: Artifact, folder: Path, truth: tuple[np.ndarray, ...]
) -> None:
    with pytest.raises(LeakError, match="more than one split"):
        fercli.pack(faces.path, folder / "refused")
    info = open_pack(fercli.pack(faces.path, folder / "published", allow_leaks=True))
    images, emotions, usages = truth
    for usage, split in SPLITS.items():
        found = read_split(info, split)
        assert (found.images == images[usages == usage]).all()
        assert (found.labels == emotions[usages == usage]).all()


def test_the_cleaned_set_packs(cleaned: Artifact, folder: Path) -> None:
    made = fercli.pack(cleaned.path, folder / "pack")
    assert made.summary["leaks"] == 0
    info = open_pack(made)
    digests = {split: {bytes(row) for row in read_split(info, split).sha256} for split in info.counts}
    assert not digests["train"] & digests["test"]
    assert not digests["train"] & digests["validation"]
    assert not digests["validation"] & digests["test"]
    assert info.counts["test"] == 3_589


def test_the_cleaned_set_is_balanced_and_packs(cleaned: Artifact, folder: Path) -> None:
    balanced = fercli.balance(cleaned.path, folder / "balanced", target="fer2013")
    most = max(cleaned.manifest.counts["train"].values())
    assert set(balanced.manifest.counts["train"].values()) == {most}
    for split in ("validation", "test"):
        assert balanced.manifest.counts[split] == cleaned.manifest.counts[split]
    assert fercli.pack(balanced.path, folder / "balanced-pack").summary["leaks"] == 0


def test_the_published_set_is_balanced_by_the_papers_counts(faces: Artifact, folder: Path) -> None:
    balanced = fercli.balance(faces.path, folder / "augmented", target="fer2013", policy="augment-counts")
    counts = (1675, 5234, 1573, 0, 840, 2499, 705)
    assert balanced.summary["train"]["augment"] == dict(zip(EMOTIONS, counts, strict=True))
    assert sum(balanced.manifest.counts["train"].values()) == 41_235
    rows = read_index(balanced)
    assert len({row.sha256 for row in rows if row.parent} - {row.sha256 for row in rows if not row.parent}) == 12_526
