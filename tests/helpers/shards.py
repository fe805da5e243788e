"""Packs with shards, made by `fer pack`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import fercli
from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.packs.file import FILE
from tests.helpers.datasets import face, make_dataset

EMOTIONS = ("happy", "sad")
COUNTS = {"train": 24, "validation": 6, "test": 5}


def make_images(color: str = "gray", side: int = 16) -> dict[str, np.ndarray]:
    """Return different faces by path, sorted by split and emotion."""
    images, seed = {}, 0
    for split, count in COUNTS.items():
        for number in range(count):
            seed += 1
            pixels = face(seed, side)
            if color == "rgb":
                pixels = np.stack([pixels, face(seed + 1000, side), face(seed + 2000, side)], 2)
            images[f"{split}/{EMOTIONS[number * 2 // count]}/{number}.png"] = pixels
    return images


def make_sharded(folder: Path, color: str = "gray", **options: Any) -> Artifact:
    """Make a dataset of `make_images`, and pack it; by default in three shards."""
    data = make_dataset(folder / "data", make_images(color))
    return open_artifact(fercli.pack(data.path, folder / "pack", **{"shards": 3, **options}).path, "pack")


def edit_index(pack: Artifact, change: Callable[[h5py.File], object]) -> Artifact:
    """Change a pack's index, and update the digest in the manifest, as a forger would."""
    with h5py.File(pack.path / FILE, "r+") as file:
        change(file)
    manifest = json.loads((pack.path / MANIFEST).read_text())
    (pack.path / MANIFEST).write_text(json.dumps({**manifest, "digest": digest_file(pack.path / FILE)}))
    return open_artifact(pack.path, "pack")


def update_shard_digests(pack: Artifact) -> Artifact:
    """Put the digests and sizes of a pack's shards, as they are now, into its index."""
    shards = sorted((pack.path / "shards").iterdir())

    def change(file: h5py.File) -> None:
        for number, shard in enumerate(shards):
            file["shards/sha256"][number] = np.frombuffer(bytes.fromhex(digest_file(shard)), np.uint8)
            file["shards/bytes"][number] = shard.stat().st_size

    return edit_index(pack, change)
