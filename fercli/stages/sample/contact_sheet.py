"""The contact sheet: a row of faces per emotion."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fercli.emotions import EMOTIONS
from fercli.faces.synthetic.photograph import FaceTruth
from fercli.images import Pixels, encode_png, read_image
from fercli.report.contact_sheet import Cell, Group
from fercli.report.contact_sheet import contact_sheet as lay_out
from fercli.stages.sample.tasks import RenderedPhotograph, Task

SHEET = "contact-sheet.png"
_SIDE, _COLUMNS = 112, 10
_CELL_SCALE = 1.45  # side of a cell relative to the face's width, to include the hair


def contact_sheet(folder: Path, tasks: list[Task], rendered: list[RenderedPhotograph]) -> bytes:
    """Return a PNG: for each emotion, the largest faces of evenly spaced photographs, labelled."""
    groups = []
    for emotion in EMOTIONS:
        own = [(task, one) for task, one in zip(tasks, rendered, strict=True) if task.emotion == emotion]
        sampled = np.unique(np.linspace(0, len(own) - 1, _COLUMNS).astype(int))
        groups.append(Group([Cell(_largest_face(folder, *own[number])) for number in sampled], emotion))
    return encode_png(lay_out(groups, columns=_COLUMNS))


def _largest_face(folder: Path, task: Task, rendered: RenderedPhotograph) -> Pixels:
    return _crop_around(read_image(folder / task.path), max(rendered.faces, key=lambda found: found.box[2]))


def _crop_around(pixels: Pixels, face: FaceTruth) -> Pixels:
    """Crop a face with its surroundings; beyond the photograph's edges, border pixels are replicated."""
    left, top, width, height = face.box
    factor = _SIDE / (_CELL_SCALE * width)
    x, y = left + width / 2, top + 0.4 * height
    matrix = np.array([[factor, 0, _SIDE / 2 - factor * x], [0, factor, _SIDE / 2 - factor * y]])
    blurred = cv2.GaussianBlur(pixels, (0, 0), 0.35 / factor) if factor < 0.8 else pixels
    cut = cv2.warpAffine(blurred, matrix, (_SIDE, _SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)
