"""The contact sheets: faces of each class, and generated faces next to the most similar real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from fercli.images import Pixels, as_color, encode_png
from fercli.report.contact_sheet import Cell, Group, contact_sheet

CLASSES, NEAREST = "gan.png", "gan-nearest.png"
COLUMNS = 12
_SIDE = 96


def class_sheet(faces: Mapping[str, Sequence[Pixels]], title: str) -> bytes:
    """Return a PNG with a row of at most twelve faces for each emotion, in order of generation, not selected.

    Args:
        faces: Faces by emotion.
        title: Title of the sheet.
    """
    groups = [Group([Cell(_enlarged(face)) for face in members[:COLUMNS]], name) for name, members in faces.items()]
    return encode_png(contact_sheet(groups, columns=COLUMNS, title=title))


def nearest_sheet(pairs: Sequence[tuple[Pixels, Pixels, float]], title: str) -> bytes:
    """Return a PNG of generated faces, each above the most similar real face and their correlation.

    Args:
        pairs: Generated face, real face and correlation; at most twelve are shown.
        title: Title of the sheet.
    """
    generated = [Cell(_enlarged(face)) for face, _, _ in pairs[:COLUMNS]]
    real = [Cell(_enlarged(face), f"{value:.2f}") for _, face, value in pairs[:COLUMNS]]
    groups = [Group(generated, "generated"), Group(real, "nearest real", "correlation")]
    return encode_png(contact_sheet(groups, columns=COLUMNS, title=title))


def _enlarged(face: Pixels) -> Pixels:
    large = cv2.resize(as_color(face, "rgb"), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)
