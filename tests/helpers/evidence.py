"""A small search and a small cross-validation."""

from __future__ import annotations

from pathlib import Path

import fercli
from fercli.artifacts import Artifact
from tests.helpers.datasets import face, make_dataset
from tests.helpers.packs import QUICK

EMOTIONS = ("happy", "sad", "neutral")


def make_study(pack: Path, out: Path) -> Artifact:
    """Search over two learning rates."""
    space = out.with_name(f"{out.name}.toml")
    space.write_text("lr = [0.01, 0.1]")
    return fercli.tune(pack, out, **{**QUICK, "epochs": 1}, space=space, search="grid", prune="none")


def make_cross_validation(out: Path) -> Artifact:
    """Cross-validate on two folds of 24 faces."""
    images = {f"train/{emotion}/{n}.png": face(8 * k + n, 16) for k, emotion in enumerate(EMOTIONS) for n in range(8)}
    data = make_dataset(out.with_name(f"{out.name}-data"), images)
    return fercli.crossvalidate(data.path, out, **{**QUICK, "epochs": 1}, folds=2)
