"""Faces and emotions drawn on a picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.images import Pixels, as_color
from fercli.report.style import label, line_styles
from fercli.stages.predict.rows import Row

SMALLEST = 192
"""Pixels: a smaller picture that is one face is enlarged until its label can be read."""


def draw_faces(pixels: Pixels, rows: list[Row], emotions: list[str], enlarged: bool = False) -> Pixels:
    """Return a picture, RGB, with a box in its emotion's colour and a label around each face.

    Lines and letters grow with the picture, so that they can be read when it is shown whole.

    Args:
        pixels: The picture.
        rows: Its faces.
        emotions: The model's, in order.
        enlarged: Enlarge a small picture by a whole number, for faces that were cut out already.
    """
    image = Image.fromarray(as_color(pixels, "rgb"))
    scale = -(-SMALLEST // min(image.size)) if enlarged and min(image.size) < SMALLEST else 1
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    unit = max(1.0, min(image.size) / 240)
    font = ImageFont.load_default(size=max(10, round(7 * unit)))
    styles = line_styles(emotions)
    for row in rows:
        if row.face is None:
            continue
        left, top, width, height = (value * scale for value in row.face.box)
        color = styles[row.emotion].color
        draw.rectangle((left, top, left + width, top + height), outline=color, width=max(2, round(unit)))
        text = f"{label(row.emotion)} {max(row.probabilities):.0%}"
        x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
        pad = max(2, round(unit))
        wide, high = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
        # Above the box; within the picture whatever the box does.
        at_x = min(max(0.0, left), max(0.0, image.width - wide))
        at_y = top - high if top >= high else max(0.0, min(top + height, image.height - high))
        draw.rectangle((at_x, at_y, at_x + wide, at_y + high), fill=color)
        draw.text((at_x + pad - x0, at_y + pad - y0), text, font=font, fill=_ink(color))
    return np.asarray(image)


def _ink(color: str) -> str:
    """Return black or white, whichever is read better on a colour (#rrggbb), by its luma."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
