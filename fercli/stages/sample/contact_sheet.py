"""The contact sheet: a row of faces for each emotion."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.emotions import EMOTIONS
from fercli.faces.synthetic.photograph import FaceTruth
from fercli.images import Pixels, encode_png, read_image
from fercli.report.style import INK
from fercli.stages.sample.tasks import Drawn, Task

SHEET = "contact-sheet.png"
_SIDE, _COLUMNS, _GAP, _LABEL = 112, 10, 4, 96
_AROUND = 1.45  # side of a cell over a face's width: the hair is seen too


def contact_sheet(folder: Path, tasks: list[Task], drawn: list[Drawn]) -> bytes:
    """Return a PNG: the largest faces of photographs spread over each emotion's, labelled."""
    height = len(EMOTIONS) * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (_LABEL + _COLUMNS * (_SIDE + _GAP), height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    for row, emotion in enumerate(EMOTIONS):
        top = _GAP + row * (_SIDE + _GAP)
        pen.text((_LABEL - 12, top + _SIDE // 2), emotion, INK, font, anchor="rm")
        own = [(task, one) for task, one in zip(tasks, drawn, strict=True) if task.emotion == emotion]
        chosen = np.unique(np.linspace(0, len(own) - 1, _COLUMNS).astype(int))
        for column, number in enumerate(chosen):
            task, one = own[number]
            face = max(one.faces, key=lambda found: found.box[2])
            cell = _cell(read_image(folder / task.path), face)
            sheet.paste(Image.fromarray(cell), (_LABEL + column * (_SIDE + _GAP), top))
    return encode_png(np.asarray(sheet))


def _cell(pixels: Pixels, face: FaceTruth) -> Pixels:
    """Cut a face with what is around it; where the photograph ends its border is repeated."""
    left, top, width, height = face.box
    factor = _SIDE / (_AROUND * width)
    x, y = left + width / 2, top + 0.4 * height
    matrix = np.array([[factor, 0, _SIDE / 2 - factor * x], [0, factor, _SIDE / 2 - factor * y]])
    blurred = cv2.GaussianBlur(pixels, (0, 0), 0.35 / factor) if factor < 0.8 else pixels
    cut = cv2.warpAffine(blurred, matrix, (_SIDE, _SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)
