"""Does balancing help? The model quick on a data set as it is, filled up by each policy, and by class weights alone.

    python benchmarks/balancing.py CLEANED WORK [--seed N]

CLEANED is a data set without leaks (`fer clean`). Everything goes into WORK; what stands there already is not made
again. Prints a table of the test split's figures with flip averaging, the checkpoint chosen on validation, and
McNemar's test of each way against the first. Only train is filled up, and the test split is read once a way.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np

import fercli
from fercli.metrics.significance import mcnemar

EPOCHS = 21
POLICIES = ("augment-counts", "ratio", "level")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cleaned", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    work, seed = given.work, given.seed

    plain = fercli.pack(given.cleaned, work / "pack")
    rows = {"nothing": _measure(work, "nothing", plain.path, plain.path, seed=seed)}
    rows["class weights"] = _measure(work, "weights", plain.path, plain.path, seed=seed, class_weights=True)
    most = faces = sum(plain.manifest.counts["train"].values())
    for policy in POLICIES:
        filled = fercli.balance(given.cleaned, work / f"balanced-{policy}", target="fer2013", policy=policy)
        pack = fercli.pack(filled.path, work / f"pack-{policy}")
        most = max(most, sum(pack.manifest.counts["train"].values()))
        rows[policy] = _measure(work, policy, pack.path, plain.path, seed=seed)
    # As many steps as the largest of the filled sets is trained for: more faces an epoch are more training, too.
    epochs = round(EPOCHS * most / faces)
    rows[f"nothing, {epochs} epochs"] = _measure(work, "longer", plain.path, plain.path, seed=seed, epochs=epochs)
    _print(rows)


def _measure(work: Path, name: str, pack: Path, test: Path, **options: Any) -> dict[str, Any]:
    """Train on a pack, measure on the plain one's test split."""
    run = fercli.train(pack, work / f"run-{name}", model="quick", **{"epochs": EPOCHS, **options})
    found = fercli.evaluate(run.path, test, work / f"evaluation-{name}", tta="flip")
    with (found.path / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    emotions = found.summary["emotions"]
    right = [max(emotions, key=lambda e: float(row[e])) == row["label"] for row in table]
    return {**found.summary, "faces": sum(run.manifest.counts["train"].values()), "right": np.array(right)}


def _print(rows: dict[str, dict[str, Any]]) -> None:
    first = next(iter(rows.values()))
    emotions = first["emotions"]
    print(f"| way | train faces | accuracy | 95 % interval | McNemar p | macro F1 | {' | '.join(emotions)} |")
    print(f"|---{'|---' * (5 + len(emotions))}|")
    for way, found in rows.items():
        low, high = found["accuracy_interval"]
        p = "" if found is first else f"{mcnemar(first['right'], found['right']).p_value:.3f}"
        recalls = " | ".join(f"{100 * found['per_class'][e]['recall']:.1f}" for e in emotions)
        print(
            f"| {way} | {found['faces']:,} | {found['accuracy']:.2%} | {low:.2%} to {high:.2%} | {p} | "
            f"{found['macro_f1']:.3f} | {recalls} |"
        )


if __name__ == "__main__":
    main()
