"""Memory that import, clean, pack and balance take, by the number of images: peak resident set of each command.

    python benchmarks/stage_memory.py WORK [--images 20000 50000 200000] [--stages import clean pack balance]

WORK is a folder in which a new one is made, and removed. The images are made for the purpose: noise of 24 x 24 pixels,
no two alike, in three splits and seven emotions. A stage's bytes per image are the slope between two numbers of images,
so that what Python and its libraries take does not count; a million is the line drawn on through the last two.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from fercli.emotions import EMOTIONS

SIDE = 24
COMMANDS = {
    "import": ("import", "raw", "faces"),
    "clean": ("clean", "faces", "cleaned"),
    "pack": ("pack", "cleaned", "pack", "--size", str(SIDE)),
    "balance": ("balance", "cleaned", "balanced", "--policy", "level"),
}
"""The commands, in order: each reads what one before it wrote."""


def make(folder: Path, images: int) -> None:
    """Write images as folders of splits and emotions; angry of train has half as many as the others."""
    random = np.random.default_rng(0)
    for number in range(images):
        split = ("train", "train", "train", "validation", "test")[number % 5]
        emotion = EMOTIONS[number // 5 % 7]
        emotion = "happy" if emotion == "angry" and number % 2 else emotion
        path = folder / split / emotion / f"photograph-of-somebody-{number:07d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 256, (SIDE, SIDE), np.uint8)
        path.write_bytes(cv2.imencode(".png", noise)[1].tobytes())


def peak(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run `fer` in a folder; return its peak resident set in bytes, and its seconds."""
    started = perf_counter()
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "fercli", *arguments, "--quiet"])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"fer {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit, perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[20_000, 50_000, 200_000])
    parser.add_argument("--stages", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    args = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    found: dict[str, list[tuple[int, float]]] = {}
    for images in args.images:
        work = Path(tempfile.mkdtemp(dir=args.work))
        os.environ["FERCLI_CACHE"] = str(work / "cache")
        try:
            make(work / "raw", images)
            for stage in COMMANDS:
                taken, seconds = peak(work, *COMMANDS[stage])
                if stage not in args.stages:
                    continue
                found.setdefault(stage, []).append((images, taken))
                print(f"{stage:8s} {images:9,} images {taken / 1e6:8.1f} MB {seconds:7.1f} s", flush=True)
                if all(other not in args.stages for other in list(COMMANDS)[list(COMMANDS).index(stage) + 1 :]):
                    break
        finally:
            shutil.rmtree(work)
    for stage, points in found.items():
        for (few, low), (many, high) in pairwise(points):
            slope = (high - low) / (many - few)
            million = high + slope * (1_000_000 - many)
            print(f"{stage:8s} {few:,} to {many:,}: {slope:,.0f} bytes an image; a million: {million / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
