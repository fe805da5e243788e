"""Clean: what it holds of an image is little enough that a million fit into 2 GB."""

import tracemalloc
from pathlib import Path

import numpy as np
from making import noise

from fercli.artifacts import Artifact, Manifest
from fercli.datasets.album import Album
from fercli.datasets.duplicates import distinct, near_pairs, removals
from fercli.datasets.index import Row, read_index, write_index
from fercli.datasets.perceptual import shrink
from fercli.stages.clean.findings import Findings

IMAGES = 4000
MOST = 1000
"""Bytes an image: a million, and what Python and its libraries take, are below 2 GB."""


def test_what_is_held_of_an_image_is_bounded(tmp_path: Path) -> None:
    made = [
        Row(
            f"train/happy/photograph-of-somebody-{number:07d}.png", "train", "happy", row=str(number),
            source=f"happy/photograph-of-somebody-{number:07d}.png", sha256=f"{number * 7919:064x}",
        )
        for number in range(IMAGES)
    ]  # fmt: skip
    manifest = Manifest(kind="dataset", stage="import", digest=write_index(tmp_path, made))
    compare = shrink(noise(0, 48, 48))[1]
    hashes = np.random.default_rng(0).integers(0, 2**63, IMAGES).astype(np.uint64)
    tracemalloc.start()
    try:
        rows = read_index(Artifact(tmp_path, manifest))
        pictures = distinct(rows)
        with Album(tmp_path, 48) as album:
            for number in range(IMAGES):
                album[number] = compare
            near = near_pairs((hashes, ~hashes), album, np.ones(IMAGES, bool))
        found = Findings(rows, pictures, near, [], removals(rows, pictures, near))
        summary = found.summary()
        assert found.report()["summary"] == summary
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert summary["exact"]["groups"] == 0
    assert held / IMAGES < MOST
