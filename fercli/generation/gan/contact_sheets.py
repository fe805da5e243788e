"""The contact sheets: faces of each class, and generated faces next to the most similar real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.errors import one_line
from fercli.images import Pixels, as_color, encode_png
from fercli.report.style import INK, MUTED

CLASSES, NEAREST = "gan.png", "gan-nearest.png"
COLUMNS = 12
_SIDE, _GAP, _LABEL, _LINE = 96, 4, 120, 22


def class_sheet(faces: Mapping[str, Sequence[Pixels]], title: str) -> bytes:
    """Return a PNG with a row of at most twelve faces for each emotion, in the order generated, without selection.

    Args:
        faces: Faces by emotion.
        title: Title of the sheet.
    """
    rows = [(name, list(members[:COLUMNS])) for name, members in faces.items()]
    return _sheet(rows, title)


def nearest_sheet(pairs: Sequence[tuple[Pixels, Pixels, float]], title: str) -> bytes:
    """Return a PNG of generated faces, the most similar real face below each, and their correlation.

    Args:
        pairs: Generated face, real face and correlation; at most twelve are shown.
        title: Title of the sheet.
    """
    shown = pairs[:COLUMNS]
    rows = [("generated", [generated for generated, _, _ in shown]), ("nearest real", [real for _, real, _ in shown])]
    return _sheet(rows, title, [f"{value:.2f}" for _, _, value in shown])


def _sheet(rows: Sequence[tuple[str, Sequence[Pixels]]], title: str, captions: Sequence[str] = ()) -> bytes:
    font, bold = ImageFont.load_default(15), ImageFont.load_default(16)
    line = one_line(title)
    columns = max([1, *(len(faces) for _, faces in rows)])
    width = max(_LABEL + columns * (_SIDE + _GAP), round(bold.getlength(line)) + 2 * _GAP + 16)
    height = _LINE + 2 * _GAP + len(rows) * (_SIDE + _GAP) + (_LINE if captions else 0)
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((12, _GAP), line, INK, bold)
    top = _LINE + 2 * _GAP
    for name, faces in rows:
        pen.text((_LABEL - 12, top + _SIDE // 2), _fit(name, font), INK, font, anchor="rm")
        for column, face in enumerate(faces):
            cell = cv2.resize(as_color(face, "rgb"), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
            sheet.paste(Image.fromarray(np.asarray(cell, np.uint8)), (_LABEL + column * (_SIDE + _GAP), top))
        top += _SIDE + _GAP
    for column, caption in enumerate(captions):
        pen.text((_LABEL + column * (_SIDE + _GAP) + _SIDE // 2, top), caption, MUTED, font, anchor="ma")
    return encode_png(np.asarray(sheet))


def _fit(name: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Return a label, truncated to fit before its row."""
    line = one_line(name)
    while len(line) > 1 and font.getlength(line) > _LABEL - 20:
        line = line[:-2] + "…"
    return line
