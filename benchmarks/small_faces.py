"""Recall and time of the detectors by size of face and photograph: at their usual size, and as `fer detect` has it.

    python benchmarks/small_faces.py [--detectors haar yunet=FILE yolov5-face=FILE] [--faces 24] [--crop 48] [--turns]

Drawn faces of one size, cheek to cheek, all different, before drawn backgrounds, at least so many for each size of face
and photograph. A face is found where a box has its centre within the true box and is half to twice as wide. Each line:
recall, false finds a photograph, seconds a photograph on one core; first searched at the detector's usual size alone,
then as deep as faces of the crop's size need. `--portrait FILE LEFT TOP SIDE` pastes a photograph's face instead.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from fercli.emotions import EMOTIONS
from fercli.faces.action_units import sample_strengths
from fercli.faces.base import Box
from fercli.faces.detectors import create_detector
from fercli.faces.synthetic.background import render_background
from fercli.faces.synthetic.canvas import Pose
from fercli.faces.synthetic.face import Light, render_face
from fercli.faces.synthetic.identity import sample_identity
from fercli.faces.tiling import Search, with_search
from fercli.images import Pixels, read_image

PHOTOGRAPHS = (640, 1600, 4032)
FACES = (40, 60, 100, 140, 300)
MOST = 24
"""Faces in one photograph."""
ROOM = 2.2
"""Widths of a face from one to the next."""


def photograph(
    longest: int, side: int, random: np.random.Generator, portrait: Pixels | None
) -> tuple[Pixels, list[Box]]:
    """Return a photograph of 4 by 3 with as many faces as have room, and their boxes."""
    height, width = longest * 3 // 4, longest
    picture = render_background(height, width, random)
    boxes: list[Box] = []
    across, down = (max(1, int(length // (ROOM * side))) for length in (width, height))
    places = [(x, y) for y in range(down) for x in range(across)]
    for k in random.permutation(len(places))[:MOST]:
        x, y = (
            int((place + 0.5) * length / n)
            for place, length, n in zip(places[k], (width, height), (across, down), strict=True)
        )
        if portrait is None:
            emotion = EMOTIONS[int(random.integers(7))]
            pose = Pose(*(float(np.clip(random.normal(0, s), -2 * s, 2 * s)) for s in (0.12, 0.06, 0.06)))
            light = Light((random.normal(0, 0.38), random.uniform(-0.8, 0.1), 1.0), random.uniform(0.55, 0.8))
            face = render_face(sample_identity(random), sample_strengths(emotion, 0.7, random), pose, side, light)
            pixels, box = face.pixels, face.box
        else:
            pixels, box = pasted(portrait, side)
        left, top = int(x - box[0] - box[2] / 2), int(y - box[1] - box[3] / 2)
        lay(picture, pixels, left, top)
        boxes.append((left + box[0], top + box[1], box[2], box[3]))
    noise = random.normal(0, 4, picture.shape[:2])[..., None]
    return np.clip(picture + noise, 0, 255).astype(np.uint8), boxes


def pasted(portrait: Pixels, side: int) -> tuple[np.ndarray, Box]:
    """Return a portrait (face in the middle half) so that its face is `side` wide, opaque, and the face's box."""
    size = 2 * side
    method = cv2.INTER_AREA if size < portrait.shape[0] else cv2.INTER_CUBIC
    small = cv2.resize(portrait, (size, size), interpolation=method).astype(np.float32)
    return np.dstack([small, np.full((size, size), 255, np.float32)]), (side / 2, side / 2, float(side), float(side))


def lay(picture: np.ndarray, pixels: np.ndarray, left: int, top: int) -> None:
    rows = slice(max(0, top), min(picture.shape[0], top + pixels.shape[0]))
    columns = slice(max(0, left), min(picture.shape[1], left + pixels.shape[1]))
    own = pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    picture[rows, columns] = picture[rows, columns] * (1 - own[..., 3:] / 255) + own[..., :3]


def same(box: Box, face: Box) -> bool:
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    within = face[0] <= x <= face[0] + face[2] and face[1] <= y <= face[1] + face[3]
    return within and 0.5 <= box[2] / face[2] <= 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detectors", nargs="+", default=["haar"], metavar="NAME[=FILE]")
    parser.add_argument("--faces", type=int, default=24)
    parser.add_argument("--crop", type=int, default=48)
    parser.add_argument("--turns", action="store_true")
    parser.add_argument("--portrait", nargs=4, metavar=("FILE", "LEFT", "TOP", "SIDE"))
    args = parser.parse_args()
    os.environ.setdefault("FERCLI_CACHE", "/nowhere")
    cv2.setNumThreads(1)
    portrait = None
    if args.portrait:
        left, top, side = map(int, args.portrait[1:])
        edged = cv2.copyMakeBorder(read_image(Path(args.portrait[0])), *(4 * [side // 2]), cv2.BORDER_REFLECT)
        portrait = np.asarray(edged[top : top + 2 * side, left : left + 2 * side], np.uint8)
    print("| detector | photograph | face | n | usual: recall | false | s | as detect: recall | false | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for given in args.detectors:
        name, _, file = given.partition("=")
        network = create_detector(name, Path(file) if file else None)
        sides = [network, with_search(network, Search(min_face=args.crop, turns=args.turns))]
        for longest in PHOTOGRAPHS:
            for side in FACES:
                random = np.random.default_rng([longest, side])
                n = made = 0
                hits, false, seconds = [0, 0], [0, 0], [0.0, 0.0]
                while n < args.faces:
                    pixels, true = photograph(longest, side, random, portrait)
                    n, made = n + len(true), made + 1
                    for k, detector in enumerate(sides):
                        started = perf_counter()
                        found = [face.box for face in detector.detect(pixels)]
                        seconds[k] += perf_counter() - started
                        hits[k] += sum(any(same(box, face) for box in found) for face in true)
                        false[k] += sum(not any(same(box, face) for face in true) for box in found)
                cells = [f"{hits[k] / n:.0%} | {false[k] / made:.1f} | {seconds[k] / made:.2f}" for k in (0, 1)]
                print(f"| {name} | {longest} | {side} | {n} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
