"""Does balancing help? The model quick on a dataset as it is, filled up by each policy, and by class weights alone.

    python benchmarks/balancing.py CLEANED WORK [--seed N]

CLEANED is a dataset without leaks (`fer clean`). Everything goes into WORK; what stands there already is not made
again. Prints a table of the test split's figures with flip averaging, the checkpoint chosen on validation; McNemar's
test of each way against the first; and the 95 % interval, by a paired bootstrap, of the difference of its macro F1 from
the first's and the last's. Only train is filled up, and the test split is read once a way.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np

import fercli
from fercli.metrics.confusion import confusion_matrix, macro_f1
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
    labels = np.array([emotions.index(row["label"]) for row in table])
    predicted = np.array([[float(row[emotion]) for emotion in emotions] for row in table]).argmax(1)
    return {
        **found.summary,
        "faces": sum(run.manifest.counts["train"].values()),
        "right": predicted == labels,
        "resampled": _resampled(labels, predicted, len(emotions)),
    }


def _resampled(labels: Any, predicted: Any, classes: int) -> Any:
    """Return the macro F1 of 1,000 resamples of the images, the same ones for every way."""
    generator = np.random.default_rng(0)
    draws = (generator.integers(0, len(labels), len(labels)) for _ in range(1000))
    return np.array([macro_f1(confusion_matrix(labels[i], predicted[i], classes)) for i in draws])


def _print(rows: dict[str, dict[str, Any]]) -> None:
    first, last = next(iter(rows.values())), list(rows.values())[-1]
    emotions = first["emotions"]
    print(
        f"| way | train faces | accuracy | 95 % interval | McNemar p | macro F1 | less the first's | less the last's "
        f"| {' | '.join(emotions)} |"
    )
    print(f"|---{'|---' * (7 + len(emotions))}|")
    for way, found in rows.items():
        low, high = found["accuracy_interval"]
        p = "" if found is first else f"{mcnemar(first['right'], found['right']).p_value:.3f}"
        recalls = " | ".join(_percent(found["per_class"][e]["recall"]) for e in emotions)
        print(
            f"| {way} | {found['faces']:,} | {found['accuracy']:.2%} | {low:.2%} to {high:.2%} | {p} | "
            f"{found['macro_f1']:.3f} | {_less(found, first)} | {_less(found, last)} | {recalls} |"
        )


def _percent(recall: float | None) -> str:
    return "" if recall is None else f"{100 * recall:.1f}"


def _less(found: dict[str, Any], other: dict[str, Any]) -> str:
    if found is other:
        return ""
    low, high = np.percentile(found["resampled"] - other["resampled"], [2.5, 97.5])
    return f"{low:+.3f} to {high:+.3f}"


if __name__ == "__main__":
    main()
