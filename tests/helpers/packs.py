"""Small packs of synthetic faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fercli.artifacts import Artifact, Input
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.emotions import EMOTIONS
from fercli.images import pixel_digest
from fercli.packs.affect import write_affect
from fercli.packs.file import FILE, create_split, finish_split, write_attributes
from fercli.packs.integrity import remember

COUNTS = {"train": 28, "validation": 14, "test": 21}


def draw_faces(labels: np.ndarray, side: int = 16, color: str = "gray", seed: int = 0) -> np.ndarray:
    """Draw uint8 faces (N, side, side[, 3]): noise, and a bright bar whose position encodes the label."""
    generator = np.random.default_rng(seed)
    shape = (len(labels), side, side) if color == "gray" else (len(labels), side, side, 3)
    faces = generator.integers(0, 120, shape, np.uint8)
    for face, label in zip(faces, labels, strict=True):
        top = int(label) * side // 8
        face[top : top + side // 8 + 1] += 110
    return faces


def make_pack(
    folder: Path,
    counts: Mapping[str, int] = COUNTS,
    *,
    side: int = 16,
    color: Any = "gray",
    emotions: Sequence[str] = EMOTIONS,
    images: Mapping[str, np.ndarray] | None = None,
    labels: Mapping[str, Sequence[int]] | None = None,
    paths: Mapping[str, list[str]] | None = None,
    votes: Mapping[str, np.ndarray] | None = None,
    affect: Mapping[str, np.ndarray] | None = None,
    summary: Mapping[str, Any] | None = None,
    inputs: Sequence[Input] = (),
    libver: str = "latest",
) -> Artifact:
    """Build a pack; by default, labels cycle through the emotions and faces are drawn."""
    found: dict[str, dict[str, int]] = {}
    with build(folder, "pack", "pack", options={}, inputs=list(inputs)) as builder:
        with h5py.File(builder.folder / FILE, "w", libver=libver) as file:
            for seed, (split, count) in enumerate(counts.items()):
                own = np.array((labels or {}).get(split, np.arange(count) % len(emotions)), np.int64)
                faces = (images or {}).get(split)
                if faces is None:
                    faces = draw_faces(own, side, color, seed)
                create_split(file, split, count, side, color)[()] = faces
                names = (paths or {}).get(split) or [f"{split}/{emotions[k]}/{i}.png" for i, k in enumerate(own)]
                digests = [pixel_digest(face) for face in faces]
                finish_split(file, split, own.tolist(), names, digests, (votes or {}).get(split))
                write_affect(file[split], (affect or {}).get(split))
                found[split] = {emotion: int((own == k).sum()) for k, emotion in enumerate(emotions)}
            write_attributes(file, list(emotions), side, color, "drawn")
        digest = digest_file(builder.folder / FILE)
        remember(digest)
        builder.finish(digest=digest, emotions=list(emotions), counts=found, summary=summary or {})
    return builder.artifact


QUICK = {"model": "quick", "epochs": 2, "batch_size": 8, "input_size": 16, "device": "cpu", "precision": "float32"}
"""Options for a very short training."""


def affect_of_labels(labels: np.ndarray, missing: int = 4) -> np.ndarray:
    """Return valence and arousal that follow from the labels 0 to 6, float32 (N, 2); every `missing`-th has none."""
    values = np.stack([labels / 3 - 1, np.abs(labels / 3 - 1)], 1).astype(np.float32)
    values[::missing] = np.nan
    return values


def make_affect_pack(folder: Path, counts: Mapping[str, int] = COUNTS, **options: Any) -> Artifact:
    """Build a pack whose drawn faces have valence and arousal, but for every fourth."""
    affect = {split: affect_of_labels(np.arange(count) % 7) for split, count in counts.items()}
    return make_pack(folder, counts, affect=affect, **options)
