"""The contact sheets: faces of each class, and those nearest to a real one, beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from fercli.images import Pixels, as_color, encode_png
from fercli.report.contact_sheet import Cell, Group, contact_sheet

SHEET, NEAREST = "gan.png", "gan-nearest.png"
COLUMNS = 12
_SIDE = 96


def class_sheet(faces: Mapping[str, Sequence[Pixels]], title: str) -> bytes:
    """Return a PNG of a row of faces for each name, at most twelve, as they were drawn: none is picked.

    Args:
        faces: By emotion.
        title: What stands above.
    """
    groups = [Group([Cell(_enlarged(face)) for face in members[:COLUMNS]], name) for name, members in faces.items()]
    return encode_png(contact_sheet(groups, columns=COLUMNS, title=title))


def nearest_sheet(pairs: Sequence[tuple[Pixels, Pixels, float]], title: str) -> bytes:
    """Return a PNG of made faces, the real face nearest to each under it, and their correlation.

    Args:
        pairs: Made, real, correlation; at most twelve are shown.
        title: What stands above.
    """
    made = [Cell(_enlarged(face)) for face, _, _ in pairs[:COLUMNS]]
    real = [Cell(_enlarged(face), f"{value:.2f}") for _, face, value in pairs[:COLUMNS]]
    groups = [Group(made, "made"), Group(real, "nearest real", "correlation")]
    return encode_png(contact_sheet(groups, columns=COLUMNS, title=title))


def _enlarged(face: Pixels) -> Pixels:
    large = cv2.resize(as_color(face, "rgb"), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)
