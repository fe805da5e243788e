"""Helpers for the tests of predict: an untrained model, a fake detector of bright squares, photographs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from fercli.faces.base import Face
from fercli.images import Pixels
from fercli.models.checkpoints import CheckpointMetadata, save_checkpoint
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model

EMOTIONS = ["happy", "sad", "neutral"]


def save_model(folder: Path, **metadata: object) -> Path:
    """Write a checkpoint with random weights."""
    torch.manual_seed(3)
    model = create_model("quick", len(EMOTIONS))
    values = {
        "architecture": "quick",
        "emotions": EMOTIONS,
        "preprocessing": Preprocessing.of(find_model("quick"), 32),
        "face_size": 24,
        "face_color": "gray",
    }
    save_checkpoint(folder, model.state_dict(), CheckpointMetadata.model_validate({**values, **metadata}), "train")
    return folder


class Squares:
    """Detects the marks of `picture`: one face of 30 px per mark, with its left edge there."""

    name = "squares"

    def detect(self, pixels: Pixels) -> list[Face]:
        marked = (pixels[0, :, 0] if pixels.ndim == 3 else pixels[0]) > 200
        lefts = np.flatnonzero(marked & ~np.roll(marked, 1))
        return [Face((float(left), 10.0, 30.0, 30.0), 1.0 + left) for left in lefts]


def picture(*lefts: int, seed: int = 0, height: int = 60, width: int = 160) -> np.ndarray:
    """Draw a photograph: noise, with marks in the first row where `Squares` detects faces."""
    pixels = np.random.default_rng(seed).integers(0, 180, (height, width, 3), np.uint8)
    pixels[0] = 0
    for left in lefts:
        pixels[0:8, left : left + 8] = 255  # the size of a codec block, so that it survives video compression
    return pixels


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
