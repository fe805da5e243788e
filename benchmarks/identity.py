"""Whether an emotion model's features tell who is in a picture, better than what the tracker compares now.

    fer sample photographs --images 700
    python benchmarks/identity.py photographs [--model ferplus]

Compares every pair of drawn faces, cut out by the ground truth: of one person with different expressions, or of two.
Prints, for the tracker's appearance and for each block of the model's features (mean over the map, centred, cosine),
the area under the ROC curve and the share of one person's pairs that are recognised where 1 in 200 pairs of strangers
is taken for one.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from fercli.faces.base import Face
from fercli.faces.tracking import compute_appearance
from fercli.images import as_color, fit_square, read_image
from fercli.models.checkpoints import load_checkpoint
from fercli.models.preprocessing import channels_first

STRANGERS = 0.005


def report(name: str, similarity: npt.NDArray[np.floating], same: npt.NDArray[np.bool_]) -> None:
    """Print the figures of one measure of similarity, (N, N)."""
    scores = similarity[np.triu_indices(len(similarity), 1)]
    false, true, _ = roc_curve(same, scores)
    recognised = true[np.searchsorted(false, STRANGERS, side="right") - 1]
    print(f"{name:24} AUC {roc_auc_score(same, scores):.3f}, recognised {recognised:.1%}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--model", type=Path, default=Path("ferplus"))
    given = parser.parse_args()
    appearances, crops, people = [], [], []
    with (given.photographs / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            pixels = read_image(given.photographs / row["path"])
            left, top, width, height = (float(row[name]) for name in ("left", "top", "width", "height"))
            appearances.append(compute_appearance(pixels, Face((left, top, width, height), 1.0)))
            crop = pixels[max(0, int(top)) : int(top + height), max(0, int(left)) : int(left + width)]
            crops.append(fit_square(as_color(np.ascontiguousarray(crop), "gray"), 48))
            people.append(row["person"])
    names = np.array(people)
    same = (names[:, None] == names[None])[np.triu_indices(len(names), 1)]
    print(f"{len(names):,} faces of {len(set(people)):,} people, {int(same.sum()):,} pairs of one person")
    similarity = np.stack(appearances)
    report("the tracker's appearance", similarity @ similarity.T, same)
    checkpoint = load_checkpoint(given.model)
    preprocessing = checkpoint.metadata.preprocessing
    maps = channels_first(torch.from_numpy(np.stack(crops))).float() / 255
    maps = (maps - preprocessing.mean[0]) / preprocessing.std[0]
    with torch.inference_mode():
        for number, layer in enumerate(checkpoint.model.eval().features):
            maps = layer(maps)
            if isinstance(layer, torch.nn.ReLU):
                vectors = maps.mean((2, 3))
                vectors = torch.nn.functional.normalize(vectors - vectors.mean(0))
                report(f"features.{number}", (vectors @ vectors.T).numpy(), same)


if __name__ == "__main__":
    main()
