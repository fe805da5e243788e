"""`truth.csv`: the ground truth, one row per face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fercli.faces.action_units import UNITS
from fercli.faces.synthetic.photograph import FaceTruth
from fercli.stages.sample.tasks import Task

TRUTH = "truth.csv"
POINTS = ("eye1", "eye2", "nose", "mouth1", "mouth2")
"""The landmarks: left and right eye, nose tip, left and right mouth corner, as seen in the image."""

COLUMNS = (
    *("path", "split", "emotion", "face", "left", "top", "width", "height", "intensity"),
    *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
    *(f"au{number}" for number in UNITS),
    "person",
)


def truth_rows(rendered: Iterable[tuple[Task, list[FaceTruth]]]) -> Iterator[list[str | int]]:
    """Yield the rows: boxes and landmarks in pixels, strengths 0..1, persons as split and number."""
    for task, faces in rendered:
        for number, face in enumerate(faces):
            values = [*face.box, face.intensity, *face.landmarks.ravel(), *(face.strengths[k] for k in UNITS)]
            person = f"{task.split}-{face.person}"
            yield [task.path, task.split, task.emotion, number, *(f"{n:.3f}" for n in values), person]
