"""How well cuts are found, and how often a stranger keeps a face's number after one.

    python benchmarks/cuts.py DATASET [--films 200] [--every 1,12] [--seed 0]

Makes films in memory from the test faces of DATASET (a fercli dataset, such as FER2013): each film has two shots of 2 s
at 25 frames/s, each a moving, zooming, noisy camera over one tinted face before a drawn background out of focus. The
two shots show different people in about the same place, the hardest case for a tracker; their backgrounds differ, an
easier case for finding cuts than two angles of one room. Prints the cuts found, the frames taken for a cut by mistake,
and the films in which the second person got the first one's number, without and with the cuts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fercli.artifacts import open_artifact
from fercli.datasets.index import read_index
from fercli.faces.base import Face
from fercli.faces.tracking import FaceTracker, compute_appearance
from fercli.images import read_image
from fercli.videos.cuts import is_cut, scene_of

RATE, SECONDS = 25, 2.0
SIZE = (360, 640)
Pixels = npt.NDArray[np.uint8]


def backdrop(generator: np.random.Generator) -> Pixels:
    """Draw a background: smooth blobs of random colours, as of a room out of focus."""
    coarse = generator.integers(0, 256, (5, 9, 3)).astype(np.uint8)
    return cv2.resize(coarse, (SIZE[1] * 2, SIZE[0] * 2), interpolation=cv2.INTER_CUBIC)


def shot(face: Pixels, generator: np.random.Generator, every: int) -> Iterator[tuple[Pixels, Face]]:
    """Yield every n-th frame of a shot, and the face's place in it."""
    picture = backdrop(generator)
    side = int(generator.integers(160, 260))
    tint = generator.uniform(0.6, 1.0, 3)
    colored = (cv2.resize(face, (side, side))[..., None] * tint).astype(np.uint8)
    top, left = (SIZE[0] * 2 - side) // 2, (SIZE[1] * 2 - side) // 2
    picture[top : top + side, left : left + side] = colored
    speed, zoom = generator.uniform(-40, 40, 2), generator.uniform(0.9, 1.2, 2)
    count = int(RATE * SECONDS)
    for number in range(0, count, every):
        share = number / count
        scale = zoom[0] + (zoom[1] - zoom[0]) * share
        height, width = SIZE[0] / scale, SIZE[1] / scale
        y = SIZE[0] + speed[0] * (share - 0.5) - height / 2
        x = SIZE[1] + speed[1] * (share - 0.5) - width / 2
        part = picture[int(y) : int(y + height), int(x) : int(x + width)]
        factor = SIZE[1] / part.shape[1]
        frame = cv2.resize(part, (SIZE[1], SIZE[0]))
        frame = np.clip(frame + generator.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
        box = ((left - int(x)) * factor, (top - int(y)) * factor, side * factor, side * factor)
        yield frame, Face(box, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--every", default="1,12")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    dataset = open_artifact(given.dataset, "dataset")
    paths = [dataset.path / row.path for row in read_index(dataset) if row.split == "test"]
    for every in map(int, given.every.split(",")):
        generator = np.random.default_rng(given.seed)
        found = wrong = frames = kept = kept_with = 0
        for _ in range(given.films):
            one, other = generator.choice(len(paths), 2, replace=False)
            film = [
                (number, frame, face)
                for number, path in enumerate((paths[one], paths[other]))
                for frame, face in shot(read_image(path), generator, every)
            ]
            plain, cutting = FaceTracker(), FaceTracker()
            ids: list[tuple[int, int, int]] = []
            last = None
            for index, (number, frame, face) in enumerate(film):
                scene = scene_of(frame)
                cut = last is not None and is_cut(last[1], scene)
                if last is not None:
                    frames += 1
                    found += cut and last[0] != number
                    wrong += cut and last[0] == number
                last = number, scene
                seconds = index * every / RATE
                looks = [compute_appearance(frame, face)]
                a = plain.update(seconds, [face.box], looks)[0]
                b = cutting.update(seconds, [face.box], looks, cut=cut)[0]
                ids.append((number, a, b))
            before, after = ([row for row in ids if row[0] == number] for number in (0, 1))
            kept += bool({a for _, a, _ in before} & {a for _, a, _ in after})
            kept_with += bool({b for *_, b in before} & {b for *_, b in after})
        print(
            f"every {every} frames: {found} of {given.films} cuts found, {wrong} of {frames - given.films} others "
            f"taken for one; the second person has the first one's number in {kept} films without the cuts, in "
            f"{kept_with} with them"
        )


if __name__ == "__main__":
    main()
