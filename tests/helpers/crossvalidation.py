"""A tiny dataset to cross-validate, and options that train on it in a second."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from fercli.artifacts import Artifact
from tests.helpers.datasets import make_dataset
from tests.helpers.packs import QUICK, draw_faces

EMOTIONS = ("angry", "happy", "sad")
OPTIONS: dict[str, Any] = {**QUICK, "folds": 3, "threads": 1, "validation": 0.2}


def make_faces(folder: Path, each: int = 12, columns: dict[str, dict[str, str]] | None = None) -> Artifact:
    """Build a dataset of drawn faces: `each` of three emotions in train and validation, and two in test."""
    labels = np.arange(3 * each) % 3
    faces = draw_faces(labels * 2, 16, seed=5)
    images = {
        f"{'validation' if i % 6 == 5 else 'train'}/{EMOTIONS[label]}/{i:03d}.png": face
        for i, (face, label) in enumerate(zip(faces, labels, strict=True))
    }
    images |= {f"test/{EMOTIONS[i % 3]}/t{i}.png": face for i, face in enumerate(draw_faces(np.arange(6) % 3, 16))}
    return make_dataset(folder, images, columns=columns)


def rows_of(artifact: Artifact, name: str) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with (artifact.path / name).open(newline="") as file:
        return list(csv.DictReader(file))
