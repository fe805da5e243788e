"""The contact sheet of generated images: a row a class, spread over all there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.datasets.index import Row
from fercli.emotions import in_order
from fercli.images import as_color, encode_png, fit_square, read_image
from fercli.report.style import INK, MUTED, label

SHEET = "generated.png"
COLUMNS = 12
_SIDE, _GAP, _NAMES = 72, 6, 116


def contact_sheet(folder: Path, rows: Sequence[Row]) -> bytes:
    """Return a PNG of generated images: a row an emotion, twelve of each, evenly from its first to its last.

    Args:
        folder: The data set's.
        rows: Of its generated images, at least one.
    """
    emotions = in_order({row.emotion for row in rows})
    cell = _SIDE + _GAP
    sheet = Image.new("RGB", (_NAMES + COLUMNS * cell + _GAP, len(emotions) * cell + _GAP), "white")
    pen, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(14), ImageFont.load_default(12)
    for line, emotion in enumerate(emotions):
        own = [row for row in rows if row.emotion == emotion]
        top = _GAP + line * cell
        pen.text((_GAP + 4, top + _SIDE // 2 - 9), label(emotion), INK, font, anchor="lm")
        pen.text((_GAP + 4, top + _SIDE // 2 + 10), f"{len(own):,} generated", MUTED, small, anchor="lm")
        chosen = np.unique(np.linspace(0, len(own) - 1, min(COLUMNS, len(own))).round().astype(int))
        for column, k in enumerate(chosen.tolist()):
            face = fit_square(as_color(read_image(folder / own[k].path), "rgb"), _SIDE)
            sheet.paste(Image.fromarray(face), (_NAMES + column * cell, top))
    return encode_png(np.asarray(sheet))
