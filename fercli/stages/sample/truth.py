"""`truth.csv`: one row a face, of everything that is known about it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from fercli.faces.action_units import UNITS
from fercli.faces.synthetic.photograph import FaceTruth
from fercli.stages.sample.tasks import Task

TRUTH = "truth.csv"
POINTS = ("eye1", "eye2", "nose", "mouth1", "mouth2")
"""The landmarks: the eye on the picture's left, the other eye, nose tip, mouth corners left and right."""

COLUMNS = (
    *("path", "split", "emotion", "face", "left", "top", "width", "height", "intensity"),
    *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
    *(f"au{number}" for number in UNITS),
    "person",
)


def truth_csv(drawn: Iterable[tuple[Task, list[FaceTruth]]]) -> str:
    """Return the table: boxes and landmarks in pixels, strengths 0..1, persons by split and number."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task, faces in drawn:
        for number, face in enumerate(faces):
            numbers = [*face.box, face.intensity, *face.landmarks.ravel(), *(face.strengths[k] for k in UNITS)]
            person = f"{task.split}-{face.person}"
            writer.writerow([task.path, task.split, task.emotion, number, *(f"{n:.3f}" for n in numbers), person])
    return text.getvalue()
