"""Photographs per second and recall of the detectors, ours (`fer detect`) against deepface one at a time, in one run.

    python benchmarks/detect_speed.py PHOTOGRAPHS [--detectors haar yunet=FILE yolov5-face=FILE] [--rounds 3]

PHOTOGRAPHS is what `fer sample` made: its truth.csv tells where the faces are. The sides alternate. Both read the
files; ours also cuts, writes and indexes the crops. deepface (its backend of the same name: opencv for haar, yunet)
crops too, `align=False` as ours; the first round warms up. A face counts as found where a box of it has its centre
within the true box and is half to twice as wide.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import fercli
from fercli.artifacts import open_artifact
from fercli.datasets.index import read_index

Box = tuple[float, float, float, float]
Boxes = dict[str, list[Box]]


def truth(folder: Path) -> Boxes:
    boxes: Boxes = defaultdict(list)
    with (folder / "truth.csv").open() as file:
        for row in csv.DictReader(file):
            boxes[row["path"]].append(tuple(float(row[k]) for k in ("left", "top", "width", "height")))  # type: ignore[arg-type]
    return boxes


def score(found: Boxes, true: Boxes) -> tuple[float, float]:
    """Return recall, and precision."""
    hits = sum(any(same(box, face) for box in found.get(path, ())) for path, faces in true.items() for face in faces)
    right = sum(any(same(box, face) for face in true[path]) for path, boxes in found.items() for box in boxes)
    return hits / sum(map(len, true.values())), right / max(1, sum(map(len, found.values())))


def same(box: Box, face: Box) -> bool:
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    within = face[0] <= x <= face[0] + face[2] and face[1] <= y <= face[1] + face[3]
    return within and 0.5 <= box[2] / face[2] <= 2


def ours(folder: Path, detector: str, weights: Path | None) -> tuple[float, Boxes]:
    """Detect into a new place; return seconds and boxes."""
    work = Path(tempfile.mkdtemp())
    started = perf_counter()
    dataset = fercli.detect(folder, work / "faces", detector=detector, weights=weights)
    seconds = perf_counter() - started
    boxes: Boxes = defaultdict(list)
    for row in read_index(open_artifact(dataset.path)):
        boxes[row.photograph].append(tuple(map(float, row.box.split())))  # type: ignore[arg-type]
    shutil.rmtree(work)
    return seconds, boxes


def theirs(folder: Path, paths: list[str], backend: str) -> tuple[float, Boxes]:
    """Call `extract_faces` once a photograph, as deepface's users do; return seconds and boxes."""
    from deepface import DeepFace

    boxes: Boxes = defaultdict(list)
    started = perf_counter()
    for path in paths:
        options: dict[str, Any] = {"detector_backend": backend, "enforce_detection": False, "align": False}
        for face in DeepFace.extract_faces(str(folder / path), **options):
            if face["confidence"]:  # 0: nothing was found and the whole picture comes back
                area = face["facial_area"]
                boxes[path].append((area["x"], area["y"], area["w"], area["h"]))
    return perf_counter() - started, boxes


def deepface_backend(detector: str, weights: Path | None) -> str | None:
    """Return deepface's name of a detector where it can run without a network; its YuNet file is OpenCV's own."""
    if detector == "haar":
        return "opencv"
    if detector == "yunet" and weights:
        home = Path(os.environ["DEEPFACE_HOME"], ".deepface", "weights")
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights, home / "face_detection_yunet_2023mar.onnx")
        return "yunet"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--detectors", nargs="+", default=["haar"], metavar="NAME[=FILE]")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.environ["DEEPFACE_HOME"] = tempfile.mkdtemp()
    os.environ.setdefault("FERCLI_CACHE", tempfile.mkdtemp())
    true = truth(args.photographs)
    paths = sorted(true)
    print(f"{len(paths)} photographs, {sum(map(len, true.values()))} faces, {os.cpu_count()} cores")
    for given in args.detectors:
        name, _, file = given.partition("=")
        weights = Path(file) if file else None
        backend = deepface_backend(name, weights)
        sides: dict[str, Callable[[], tuple[float, Boxes]]] = {"ours": lambda: ours(args.photographs, name, weights)}  # noqa: B023
        if backend:
            sides["deepface"] = lambda: theirs(args.photographs, paths, backend)  # noqa: B023
        rates: dict[str, list[float]] = defaultdict(list)
        for number in range(args.rounds + 1):
            for side, run in sides.items():
                seconds, found = run()
                if number:  # the first round warms up
                    rates[side].append(len(paths) / seconds)
                    continue
                recall, precision = score(found, true)
                print(f"{name:12s} {side:9s} recall {recall:.1%}, precision {precision:.1%}", flush=True)
        line = ", ".join(f"{side} {median(rate):.1f} photographs/s" for side, rate in rates.items())
        ratio = f", ratio {median(rates['ours']) / median(rates['deepface']):.2f}" if backend else ""
        print(f"{name:12s} {line}{ratio}", flush=True)


if __name__ == "__main__":
    main()
