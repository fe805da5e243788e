"""How near images come to the most similar of N train faces: the measure behind `fer balance`'s refusal of non-faces.

    python benchmarks/likeness.py cleaned

For N faces of the train split, drawn with seed 0: the 5 %, 50 % and 95 % quantile of the highest correlation of 500
real validation faces, of these turned upside down, of noise, of grey squares with a little noise, and of soft blobs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from fercli.artifacts import open_artifact
from fercli.datasets.index import Row, read_index
from fercli.datasets.reading import read_checked
from fercli.generation.correlation_index import CorrelationIndex, comparison_thumbnail
from fercli.images import Pixels

SIZES = (50, 200, 1000, 5000, 10**9)
FACES, OTHERS = 500, 200


def main(path: Path) -> None:
    dataset = open_artifact(path, "dataset")
    rows = [row for row in read_index(dataset) if row.origin == "real"]
    rng = np.random.default_rng(0)

    def small(chosen: list[Row]) -> Pixels:
        return np.stack([comparison_thumbnail(read_checked(dataset.path, row)) for row in chosen])

    train = small([row for row in rows if row.split == "train"])
    train = train[rng.permutation(len(train))]
    real = small([row for row in rows if row.split == "validation"][:FACES])
    blobs = rng.integers(0, 256, (OTHERS, 6, 6), np.uint8)
    candidates = {
        "real faces": real,
        "upside down": np.ascontiguousarray(real[:, ::-1]),
        "noise": rng.integers(0, 256, (OTHERS, 48, 48), np.uint8),
        "grey squares": np.clip(128 + rng.normal(0, 3, (OTHERS, 48, 48)), 0, 255).astype(np.uint8),
        "blobs": np.stack([cv2.resize(one, (48, 48), interpolation=cv2.INTER_CUBIC) for one in blobs]),
    }
    print("| train faces |", " | ".join(candidates), "|")
    print("|---" * (len(candidates) + 1), "|", sep="")
    for size in SIZES:
        album = CorrelationIndex(len(train[:size]), torch.device("cpu"))
        album.add(train[:size])
        cells = []
        for pictures in candidates.values():
            low, middle, high = np.quantile(album.nearest(pictures)[0], (0.05, 0.5, 0.95))
            cells.append(f"{low:.2f} {middle:.2f} {high:.2f}")
        print(f"| {len(album):,} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
