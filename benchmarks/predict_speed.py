"""Images a second of `fer predict` on a folder of photographs, against the plain way: one picture after the other.

    python benchmarks/predict_speed.py RUN PHOTOGRAPHS [--rounds 3]

Both sides read the same files, find faces with OpenCV's frontal cascade (scale factor 1.1, five neighbours) and run the
same checkpoint. The plain way is what a script does: imread, detectMultiScale, crop, resize, model, for each face.
Prints the median of the rounds, sides alternating.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from time import perf_counter

import cv2
import torch

import fercli
from fercli.artifacts.digests import walk_files
from fercli.images import has_image_suffix
from fercli.models.checkpoints import Checkpoint, load_checkpoint


@torch.no_grad()
def plain(checkpoint: Checkpoint, files: list[Path]) -> int:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    prepare, faces = checkpoint.metadata.preprocessing, 0
    size, color = checkpoint.metadata.face_format
    for file in files:
        picture = cv2.imread(str(file))
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        for x, y, w, h in cascade.detectMultiScale(gray, 1.1, 5):
            source = gray if color == "gray" else picture[..., ::-1]
            crop = torch.from_numpy(cv2.resize(source[y : y + h, x : x + w], (size, size)))
            face = crop[None, None] if color == "gray" else crop.permute(2, 0, 1)[None]
            checkpoint.model(prepare(face)).softmax(1).argmax(1).item()
            faces += 1
    return faces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    checkpoint = load_checkpoint(arguments.run)
    files = [file for file in walk_files(arguments.photographs) if has_image_suffix(file)]
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(arguments.rounds):
        started = perf_counter()
        faces = plain(checkpoint, files)
        theirs.append(len(files) / (perf_counter() - started))
        summary = fercli.predict(arguments.run, arguments.photographs).summary
        ours.append(summary["images_per_second"])
        print(f"plain {theirs[-1]:.1f} images/s ({faces} faces), fercli {ours[-1]:.1f} ({summary['faces']} faces)")
    fast, slow = statistics.median(ours), statistics.median(theirs)
    print(f"median: plain {slow:.1f}, fercli {fast:.1f} images/s, ratio {fast / slow:.2f}")


if __name__ == "__main__":
    main()
