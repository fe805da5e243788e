"""The contact sheet: a row of faces for each emotion."""

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
_WIDER = 1.45  # side of a cell over a face's width: the hair is seen too


def contact_sheet(folder: Path, tasks: list[Task], drawn: list[RenderedPhotograph]) -> bytes:
    """Return a PNG: the largest faces of photographs spread over each emotion's, labelled."""
    groups = []
    for emotion in EMOTIONS:
        own = [(task, one) for task, one in zip(tasks, drawn, strict=True) if task.emotion == emotion]
        chosen = np.unique(np.linspace(0, len(own) - 1, _COLUMNS).astype(int))
        groups.append(Group([Cell(_largest_face(folder, *own[number])) for number in chosen], emotion))
    return encode_png(lay_out(groups, columns=_COLUMNS))


def _largest_face(folder: Path, task: Task, drawn: RenderedPhotograph) -> Pixels:
    return _crop_around(read_image(folder / task.path), max(drawn.faces, key=lambda found: found.box[2]))


def _crop_around(pixels: Pixels, face: FaceTruth) -> Pixels:
    """Cut a face with what is around it; where the photograph ends its border is repeated."""
    left, top, width, height = face.box
    factor = _SIDE / (_WIDER * width)
    x, y = left + width / 2, top + 0.4 * height
    matrix = np.array([[factor, 0, _SIDE / 2 - factor * x], [0, factor, _SIDE / 2 - factor * y]])
    blurred = cv2.GaussianBlur(pixels, (0, 0), 0.35 / factor) if factor < 0.8 else pixels
    cut = cv2.warpAffine(blurred, matrix, (_SIDE, _SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)
