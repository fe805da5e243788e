"""fercli's own models against the network of the package `fer`, in one run on one machine.

    python benchmarks/peers.py FER2013_PACK FERPLUS_PACK FER_DATA PHOTOGRAPH [--rounds 5]

FER2013_PACK and FERPLUS_PACK are packs with the test faces of FER2013 and of FER+ (majority, seven emotions), as
benchmarks/pretrained.sh makes them. FER_DATA is the folder `data` of the package `fer` 25.10.3, whose TensorFlow Lite
network and cascade are run as the package does, through ai-edge-litert; the package itself needs more libraries, so its
start-up, memory and size are lower bounds. PHOTOGRAPH is an image with faces.

Prints accuracy and macro F1 on the whole 48 px crops; faces/s and photographs/s (median of the rounds, sides in turn,
detection by OpenCV's cascade on both sides); seconds from the start of Python to the first answer, peak memory, and the
size of the installed distributions that were imported for it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from fer_package import Fer

import fercli
from fercli.artifacts import open_artifact
from fercli.emotions import EMOTIONS
from fercli.images import read_image
from fercli.metrics.confusion import confusion_matrix, macro_f1
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack

CLASSES = len(EMOTIONS)
Probabilities = npt.NDArray[np.float32]


COLD = {
    "fer": "import sys; sys.path.insert(0, {here!r}); import cv2\n"
    "from fer_package import Fer; from pathlib import Path\n"
    "fer = Fer(Path({data!r})); fer.predict(cv2.imread({photograph!r})[..., ::-1].copy())\n",
    "fercli": "import fercli\nfercli.load({model!r}).predict({photograph!r}, detector='haar')\n",
}
MEASURE = """
import sys
from importlib.metadata import distribution, packages_distributions
used = {name.split(".")[0] for name in sys.modules}
owners = {owner for top, names in packages_distributions().items() if top in used for owner in names}
size = 0
for owner in owners:
    for file in distribution(owner).files or ():
        path = file.locate()
        size += path.stat().st_size if path.is_file() else 0
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak) / 1024, size / 1e6)
"""


def cold(side: str, rounds: int, **values: str) -> str:
    """Return the seconds, memory and size of a process that answers once."""
    code, seconds = COLD[side].format(**values), []
    for _ in range(rounds):
        began = perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        seconds.append(perf_counter() - began)
    done = subprocess.run([sys.executable, "-c", code + MEASURE], check=True, capture_output=True, text=True)
    memory, size = map(float, done.stdout.split())
    return f"{median(seconds):.2f} s to the first answer, {memory:,.0f} MiB, {size:,.0f} MB installed"


def accuracy(predict: Callable[[Any], Probabilities], faces: Any, emotions: list[str]) -> str:
    """Return accuracy and macro F1 on a pack's split, with the emotions matched by name."""
    names = [emotions.index(emotion) for emotion in EMOTIONS]
    predicted = predict(faces.images)[:, names].argmax(1)  # contempt is not among the labels
    matrix = confusion_matrix(faces.labels.astype(np.int64), predicted, CLASSES)
    return f"{matrix.trace() / matrix.sum():.2%}, macro F1 {macro_f1(matrix):.3f} (n = {matrix.sum():,})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("fer2013", "ferplus", "data", "photograph"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    packs = {name: read_split(open_pack(open_artifact(getattr(given, name), "pack")), "test") for name in
             ("fer2013", "ferplus")}  # fmt: skip
    photograph = read_image(given.photograph)
    fer = Fer(given.data)
    models = {name: fercli.load(name) for name in ("ferplus", "fer2013")}
    sides: dict[str, Any] = {"fer": fer, **models}
    for name, side in sides.items():
        emotions = list(EMOTIONS) if name == "fer" else side.emotions
        for data, faces in packs.items():
            print(f"{name} on {data}: {accuracy(side.predict_faces, faces, emotions)}", flush=True)
    speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    crops = packs["fer2013"].images[:1024]
    calls = {"fer": lambda: fer.predict(photograph)}
    calls |= {name: (lambda one=model: one.predict(photograph, detector="haar")) for name, model in models.items()}
    for number in range(given.rounds + 1):
        for name, side in sides.items():
            began = perf_counter()
            side.predict_faces(crops)
            faces_per_second = len(crops) / (perf_counter() - began)
            began = perf_counter()
            for _ in range(10):
                calls[name]()
            if number:  # the first round warms up
                speeds[name].append((faces_per_second, 10 / (perf_counter() - began)))
    for name, found in speeds.items():
        faces_per_second, photographs = (median(values) for values in zip(*found, strict=True))
        print(f"{name}: {faces_per_second:,.0f} faces/s, {photographs:.1f} photographs/s", flush=True)
    own = {"here": str(Path(__file__).parent), "data": str(given.data), "photograph": str(given.photograph)}
    for name in sides:
        print(f"{name}: {cold('fer' if name == 'fer' else 'fercli', given.rounds, model=name, **own)}", flush=True)


if __name__ == "__main__":
    main()
