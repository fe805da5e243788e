"""The contact sheet of generated images: a row a class, spread over all there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fercli.datasets.index import Row
from fercli.emotions import in_order
from fercli.images import as_color, encode_png, fit_square, read_image
from fercli.report.contact_sheet import Cell, Group
from fercli.report.contact_sheet import contact_sheet as lay_out

SHEET = "generated.png"
COLUMNS = 12
_SIDE = 72


def contact_sheet(folder: Path, rows: Sequence[Row]) -> bytes:
    """Return a PNG of generated images: a row an emotion, twelve of each, evenly from its first to its last.

    Args:
        folder: The dataset's.
        rows: Of its generated images, at least one.
    """
    groups = []
    for emotion in in_order({row.emotion for row in rows}):
        own = [row for row in rows if row.emotion == emotion]
        chosen = np.unique(np.linspace(0, len(own) - 1, min(COLUMNS, len(own))).round().astype(int))
        faces = (as_color(read_image(folder / own[k].path), "rgb") for k in chosen)
        groups.append(Group([Cell(fit_square(face, _SIDE)) for face in faces], emotion, f"{len(own):,} generated"))
    return encode_png(lay_out(groups, columns=COLUMNS))
