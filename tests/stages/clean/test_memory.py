"""Memory use of clean: a million images fit into 2 GB."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fercli.artifacts import Artifact, Manifest
from fercli.datasets.duplicates import distinct, near_pairs, removals
from fercli.datasets.index import Row, read_index, write_index
from fercli.datasets.perceptual import shrink
from fercli.datasets.thumbnails import ThumbnailStore
from fercli.stages.clean.findings import Findings
from tests.helpers.datasets import noise

MAX_BYTES = 1100
"""Maximum bytes per image: a million, with Python and its libraries, take less than 2 GB."""


def peak(folder: Path, images: int) -> int:
    """Return the peak memory in bytes for a dataset of distinct images."""
    folder.mkdir()
    made = []
    for number in range(images):
        name = f"happy/photograph-of-somebody-{number:07d}.png"
        sha256 = f"{number * 7919:064x}"
        made.append(Row(f"train/{name}", "train", "happy", source=name, row=str(number), sha256=sha256))
    manifest = Manifest(kind="dataset", stage="import", digest=write_index(folder, made))
    compare = shrink(noise(0, 48, 48))[1]
    hashes = np.random.default_rng(0).integers(0, 2**64, images, np.uint64)
    tracemalloc.start()
    try:
        rows = read_index(Artifact(folder, manifest))
        pictures = distinct(rows)
        with ThumbnailStore(folder / "thumbnails.bin", 48) as thumbnails:
            for number in range(images):
                thumbnails[number] = compare
            near = near_pairs((hashes, ~hashes), thumbnails, np.ones(images, bool), bits=4)
        found = Findings(rows, pictures, near, [], removals(rows, pictures, near))
        assert found.report()["summary"]["exact"]["groups"] == len(near) == 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_per_image_is_bounded(tmp_path: Path) -> None:
    few, many = 1000, 6000
    peak(tmp_path / "first", 10)  # caches that are filled once
    low, high = (peak(tmp_path / str(images), images) for images in (few, many))
    assert (high - low) / (many - few) < MAX_BYTES
