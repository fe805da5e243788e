"""The contact sheet of generated images: one row per class, evenly spaced samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fercli.datasets.index import Row
from fercli.emotions import in_order
from fercli.images import as_color, encode_png, fit_square, read_image
from fercli.report.contact_sheet import Cell, Group
from fercli.report.contact_sheet import contact_sheet as layout

SHEET = "generated.png"
COLUMNS = 12
_SIDE = 72


def contact_sheet(folder: Path, rows: Sequence[Row]) -> bytes:
    """Return a PNG of generated images: one row per emotion, with at most twelve evenly spaced samples.

    Args:
        folder: Folder of the dataset.
        rows: Rows of its generated images; at least one.
    """
    groups = []
    for emotion in in_order({row.emotion for row in rows}):
        members = [row for row in rows if row.emotion == emotion]
        chosen = np.unique(np.linspace(0, len(members) - 1, min(COLUMNS, len(members))).round().astype(int))
        faces = (as_color(read_image(folder / members[k].path), "rgb") for k in chosen)
        groups.append(Group([Cell(fit_square(face, _SIDE)) for face in faces], emotion, f"{len(members):,} generated"))
    return encode_png(layout(groups, columns=COLUMNS))
