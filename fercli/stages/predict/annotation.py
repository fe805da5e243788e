"""Drawing bounding boxes and emotions on an image."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.images import Pixels, as_color
from fercli.report.style import label, line_styles
from fercli.stages.predict.rows import Row

MIN_SIDE = 192
"""Face crops with a shorter side below this, in pixels, are upscaled so that the label is legible."""


def draw_faces(pixels: Pixels, rows: list[Row], emotions: list[str], upscale: bool = False) -> Pixels:
    """Return an RGB image with a box and a label around each face, in the colour of its emotion.

    Line width and font size scale with the image, so that they are legible when it is shown at any size.

    Args:
        pixels: The image.
        rows: Its faces.
        emotions: The model's emotions, in order.
        upscale: Upscale a small image by an integer factor, for face crops.
    """
    image = Image.fromarray(as_color(pixels, "rgb"))
    scale = -(-MIN_SIDE // min(image.size)) if upscale and min(image.size) < MIN_SIDE else 1
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
        text_width, text_height = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
        # Above the box if there is room, and always within the image.
        x = min(max(0.0, left), max(0.0, image.width - text_width))
        y = top - text_height if top >= text_height else max(0.0, min(top + height, image.height - text_height))
        draw.rectangle((x, y, x + text_width, y + text_height), fill=color)
        draw.text((x + pad - x0, y + pad - y0), text, font=font, fill=_text_color(color))
    return np.asarray(image)


def _text_color(color: str) -> str:
    """Return black or white, whichever contrasts better with a colour (#rrggbb), by its luma."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
