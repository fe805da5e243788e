"""A run on an imported dataset with an evaluation, to be published."""

from __future__ import annotations

from pathlib import Path

import fercli
from fercli.artifacts import Artifact
from tests.helpers.datasets import face, make_dataset
from tests.helpers.models import make_run

EMOTIONS = ("happy", "sad", "neutral")


def make_evaluated(home: Path) -> Artifact:
    """Build home/run, home/pack and home/evaluation; return the run."""
    images = {
        f"{split}/{emotion}/{n}.png": face(40 * s + 8 * e + n, 16)
        for s, split in enumerate(("train", "validation", "test"))
        for e, emotion in enumerate(EMOTIONS)
        for n in range(4)
    }
    data = fercli.import_dataset(make_dataset(home / "drawn", images).path, home / "faces")
    pack = fercli.pack(data, home / "pack")
    run = make_run(home / "run", pack, pack.manifest.emotions)
    fercli.evaluate(run.path, pack, home / "evaluation", device="cpu")
    return run
