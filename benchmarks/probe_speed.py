"""Training of a head on cached features, against the same frozen model in the loop, in one run, alternating sides.

    python benchmarks/probe_speed.py FOLDER [--encoder vit_small_patch16_224] [--side 112] [--faces 300] [--epochs 5]

FOLDER is created, with a made pack of drawn faces, a cache of its own and the runs. The encoder has random weights, so
the accuracies mean nothing. Prints the wall time of each training in seconds, from its call to its run, and medians.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import median
from time import perf_counter

import fercli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="vit_small_patch16_224")
    parser.add_argument("--side", type=int, default=112)
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    folder: Path = args.folder
    folder.mkdir()
    os.environ["FERCLI_CACHE"] = str(folder / "cache")
    fercli.sample(folder / "photographs", images=args.faces)
    fercli.detect(folder / "photographs", folder / "faces", detector="haar", size=48)
    fercli.pack(folder / "faces", folder / "pack")
    common = {"epochs": args.epochs, "input_size": args.side, "batch_size": 32, "device": "cpu", "flip": 0.5}
    plain = {"model": f"timm/{args.encoder}", "freeze": "backbone", "rotation": 0, "scale": 0}
    sides = {
        "frozen in the loop": lambda k: {**plain, "seed": k},
        "probe, other head each time": lambda k: {"model": f"probe/{args.encoder}", "weight_decay": 10.0**-k},
    }
    times: dict[str, list[float]] = {side: [] for side in sides}
    for k in range(args.rounds):
        for side, options in sides.items():
            started = perf_counter()
            fercli.train(folder / "pack", folder / f"{side[:5].strip()}-{k}", **common, **options(k + 1))
            times[side].append(perf_counter() - started)
            print(f"{side}, round {k + 1}: {times[side][-1]:.1f} s", flush=True)
    loop, first, later = median(times["frozen in the loop"]), *_of_probe(times)
    print(f"median {loop:.1f} s in the loop; probe {first:.1f} s with an empty cache, then {later:.1f} s")
    print(f"ratio {loop / first:.1f} with an empty cache, then {loop / later:.1f}")


def _of_probe(times: dict[str, list[float]]) -> tuple[float, float]:
    """Return the time of the first training, which computes the features, and the median of the others."""
    first, *others = times["probe, other head each time"]
    return first, median(others)


if __name__ == "__main__":
    main()
