"""How many labels swapped on purpose `fer clean --labels` suspects.

    python benchmarks/suspected_labels.py FACES --images 12000 --epochs 6

Takes images of a dataset's train split, gives a share of them another label at random, cuts folds, trains a run on
each but one, asks the runs, and prints which of the swapped labels are among the suspects. The dataset's own labels
are wrong in part too, so that what is found beside the swapped ones may well be right: the precision is a lower bound.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import fercli
from fercli.artifacts import Artifact, link_or_copy, open_artifact
from fercli.artifacts.building import build
from fercli.datasets.index import Row, count, read_index, write_index

TEST = 700
"""Images of the test split that go along, so that each fold is validation."""


def main() -> None:
    """Swap, train, ask, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--share", type=float, default=0.05, help="of the labels that are swapped")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--model", default="quick")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to keep the artifacts in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.keep or Path(folder)
        dataset, truth = swapped(open_artifact(options.dataset, "dataset"), home / "swapped", options)
        runs, accuracies = [], []
        for fold in range(1, options.folds + 1):
            pack = fercli.pack(dataset.path, home / f"pack-{fold}", fold=fold)
            run = fercli.train(
                pack.path, home / f"run-{fold}", model=options.model, epochs=options.epochs, seed=options.seed
            )
            runs.append(run.path)
            accuracies.append(run.summary["validation"]["accuracy"])
        cleaned = fercli.clean(dataset.path, home / "cleaned", labels=runs, report_only=True)
        with (cleaned.path / "label_issues.csv").open(newline="") as file:
            suspects = [row for row in csv.DictReader(file) if row["split"] == "train"]
    print(json.dumps(compare(suspects, truth, options.images) | {"validation_accuracy": accuracies}, indent=1))


def swapped(source: Artifact, out: Path, options: argparse.Namespace) -> tuple[Artifact, dict[str, str]]:
    """Write a dataset with swapped labels; return it, and the true emotion of each image whose label was swapped."""
    generator = np.random.default_rng(options.seed)
    rows, emotions = read_index(source), source.manifest.emotions
    distinct = {row.sha256: row for row in reversed(rows)}.values()  # equal pixels in two folds would be a leak
    train = [row for row in distinct if row.split == "train"]
    chosen = [train[i] for i in sorted(generator.permutation(len(train))[: options.images])]
    wrong = set(generator.permutation(len(chosen))[: round(options.share * len(chosen))].tolist())
    folds = generator.permutation(len(chosen)) % options.folds + 1
    made, truth = [], {}
    with build(out, "dataset", "import", options=vars(options) | {"dataset": "", "keep": ""}, inputs=[]) as job:
        if job.done:
            raise SystemExit(f"{out}: stands already; take another folder")
        for i, row in enumerate(chosen):
            emotion = row.emotion
            if i in wrong:
                emotion = str(generator.choice([other for other in emotions if other != emotion]))
            path = f"train/{emotion}/{i:05d}{Path(row.path).suffix}"
            if i in wrong:
                truth[path] = row.emotion
            made.append((row, replace(row, path=path, emotion=emotion, fold=str(folds[i]))))
        test = [row for row in distinct if row.split == "test"][:TEST]
        made += [(row, row) for row in test]
        for old, new in made:
            (job.folder / new.path).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(source.path / old.path, job.folder / new.path)
        index: list[Row] = [new for _, new in made]
        job.finish(digest=write_index(job.folder, index), emotions=emotions, counts=count(index, emotions))
    return job.artifact, truth


def compare(suspects: list[dict[str, str]], truth: dict[str, str], images: int) -> dict[str, float]:
    """Return how the suspects and the swapped labels overlap."""
    hits = [row for row in suspects if row["path"] in truth]
    first = suspects[: len(truth)]
    return {
        "images": images,
        "swapped": len(truth),
        "label_issues": len(suspects),
        "swapped_among_suspects": len(hits),
        "recall": len(hits) / len(truth),
        "precision": len(hits) / max(1, len(suspects)),
        "share_of_images_suspected": len(suspects) / images,
        "swapped_among_as_many_most_suspect": sum(row["path"] in truth for row in first),
        "suggested_the_true_emotion": sum(truth[row["path"]] == row["suggested"] for row in hits),
    }


if __name__ == "__main__":
    main()
