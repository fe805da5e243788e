"""Memory and processor time that import, clean, balance, pack and detect take, by the number of images.

    python benchmarks/stage_growth.py WORK [--images 50000 100000 200000 400000] [--stages import clean pack …]

WORK is a folder in which a new one is made, and removed. The images are made for the purpose: noise of 24 x 24 pixels,
no two alike, in three splits and seven emotions. Detect has a stand-in for the detector, which takes no time. Bytes and
time per image are slopes between two numbers of images, so that what Python and its libraries take does not count; a
million is the line drawn on through the last two.
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
from fercli.faces.base import Face
from fercli.images import Pixels

SIDE = 24
COMMANDS = {
    "import": ("import", "raw", "faces"),
    "clean": ("clean", "faces", "cleaned"),
    "pack": ("pack", "cleaned", "pack", "--size", str(SIDE)),
    "balance": ("balance", "cleaned", "balanced", "--policy", "level"),
    "detect": ("detect", "raw", "detected", "--detector", "stage_growth:WholePicture", "--size", str(SIDE)),
}
"""The commands, in order: each reads what one before it wrote."""


class WholePicture:
    """A detector that takes every picture for a face."""

    name = "whole-picture"
    landmarks = False

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return one face."""
        height, width = pixels.shape[:2]
        return [Face((0.0, 0.0, float(width), float(height)), 1.0)]


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


def peak(folder: Path, *arguments: str) -> tuple[float, float, float]:
    """Run `fer` in a folder; return its peak resident set in bytes, its seconds of processor, and those that passed."""
    started = perf_counter()
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "fercli", *arguments, "--quiet"])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"fer {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit, usage.ru_utime + usage.ru_stime, perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[50_000, 100_000, 200_000, 400_000])
    parser.add_argument("--stages", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    args = parser.parse_args()
    here = Path(__file__).resolve().parent
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (os.environ.get("PYTHONPATH", str(here.parent)), str(here)))
    )
    found: dict[str, list[tuple[int, float, float]]] = {}
    for images in args.images:
        work = Path(tempfile.mkdtemp(dir=args.work))
        os.environ["FERCLI_CACHE"] = str(work / "cache")
        try:
            make(work / "raw", images)
            for stage in COMMANDS:
                if stage == "detect" and "detect" not in args.stages:
                    continue  # no other reads what it writes
                taken, busy, seconds = peak(work, *COMMANDS[stage])
                if stage in args.stages:
                    found.setdefault(stage, []).append((images, taken, busy))
                    print(
                        f"{stage:8s} {images:9,} images {taken / 1e6:8.1f} MB {busy:7.1f} s of processor, "
                        f"{seconds:.1f} s",
                        flush=True,
                    )
        finally:
            shutil.rmtree(work)
    for stage, points in found.items():
        for (few, low, fast), (many, high, slow) in pairwise(points):
            size, time = (high - low) / (many - few), (slow - fast) / (many - few)
            rest = 1_000_000 - many
            print(
                f"{stage:8s} {few:,} to {many:,}: {size:,.0f} bytes and {1e6 * time:,.0f} µs of processor an image; "
                f"a million: {(high + size * rest) / 1e9:.2f} GB, {(slow + time * rest) / 60:.1f} min"
            )


if __name__ == "__main__":
    main()
