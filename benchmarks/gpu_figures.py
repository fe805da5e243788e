"""The figures of `gpu.sh`: figures.toml for `fer claims`, and rows for RESULTS.md on stdout.

    python benchmarks/gpu_figures.py WORK

A model's accuracy is the mean over its seeds; the interval covers other seeds and other images, from a bootstrap that
draws both (of S > 1 seeds S - 1, as in fercli.metrics.bootstrap). With one seed it is Wilson's.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fercli.artifacts import open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.evaluation.reading import read_predictions
from fercli.metrics.intervals import wilson_interval

RESAMPLES = 10_000


def interval(right: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `right`, (seeds, images)."""
    seeds, images = right.shape
    if seeds == 1:
        return wilson_interval(int(right.sum()), images)
    generator = np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        of_image = right[generator.integers(0, seeds, seeds - 1)].mean(0)
        means[i] = of_image[generator.integers(0, images, images)].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Write figures.toml and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    work: Path = parser.parse_args().work
    by_model = defaultdict(list)
    for path in sorted((work / "evaluations").iterdir()):
        by_model[path.name.rpartition("-")[0]].append(open_artifact(path, "evaluation"))
    entries = []
    print("| model | seeds | PrivateTest | 95 % interval | macro F1 | n | each seed | device |")
    print("|---|---|---|---|---|---|---|---|")
    for model, evaluations in by_model.items():
        predictions = [read_predictions(one) for one in evaluations]
        right = np.stack([one.probabilities.argmax(1) == one.labels for one in predictions])
        low, high = (100 * bound for bound in interval(right))
        accuracy = 100 * float(right.mean())
        macro_f1 = float(np.mean([one.summary["macro_f1"] for one in evaluations]))
        each = ", ".join(f"{100 * row.mean():.2f}" for row in right)
        device = evaluations[0].manifest.device
        print(
            f"| `{model}` | {len(right)} | {accuracy:.2f} % | {low:.2f} to {high:.2f} | {macro_f1:.3f} | "
            f"{right.shape[1]:,} | {each} | {device} |"
        )
        reduced = open_artifact(work / "runs" / evaluations[0].path.name, "run").manifest.options.get("reduced")
        recipe = "a trial with small variants" if reduced else "by its recipe"
        run = next(one for one in ancestors(evaluations[0]) if one.input.kind == "checkpoint")
        entries.append(
            {
                "model": model,
                "dataset": "FER2013",
                "split": "PrivateTest",
                "accuracy": round(accuracy, 2),
                "interval": [round(low, 2), round(high, 2)],
                "macro_f1": round(macro_f1, 3),
                "n": right.shape[1],
                "seeds": len(right),
                "protocol": f"cleaned, {recipe}, chosen on PublicTest, flip averaging, {device}",
                "command": f'bash benchmarks/gpu.sh fer2013.csv WORK --models "{model}"',
                "digest": run.input.digest,
            }
        )
    lines = []
    for entry in entries:
        lines += ["[[measured]]", *(f"{name} = {json.dumps(value)}" for name, value in entry.items()), ""]
    (work / "figures.toml").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
