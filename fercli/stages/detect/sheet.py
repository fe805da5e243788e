"""The contact sheet: some photographs with the faces found in them, and their crops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.datasets.index import Row
from fercli.datasets.readers.base import Item
from fercli.errors import one_line
from fercli.faces.base import Face
from fercli.images import Pixels, as_color, encode_png, read_image
from fercli.report.style import INK, MUTED, ORANGE
from fercli.stages.detect.finding import NO_FACE, Found

SHEET = "contact-sheet.png"
COLUMNS = 5
MOST = 20
"""Photographs on the sheet, spread over all of them."""
FACELESS = 5
"""At most so many of them are ones without a face, which come last."""
BOX = "#00d5ff"
"""Seen on skin, hair, leaves and walls alike."""

_SMALL = 16
_WIDE, _HIGH, _CROP, _GAP, _LINE = 232, 174, 48, 16, 18


def contact_sheet(items: Sequence[Item], found: Sequence[Found], folder: Path, rows: Sequence[Sequence[Row]]) -> bytes:
    """Return a PNG of photographs with boxes and landmarks, the crops and a caption under each.

    Args:
        items: The photographs.
        found: What came of each.
        folder: The data set's.
        rows: The rows of each photograph's faces.
    """
    faceless = _spread([k for k, one in enumerate(found) if one.problem == NO_FACE], FACELESS)
    chosen = [*_spread([k for k, one in enumerate(found) if one.faces], MOST - len(faceless)), *faceless]
    columns = min(COLUMNS, len(chosen))
    cell = _WIDE + _GAP, _HIGH + _CROP + 2 * _LINE + 2 * _GAP
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, -(-len(chosen) // columns) * cell[1] + _GAP), "white")
    for place, k in enumerate(chosen):
        left, top = _GAP + place % columns * cell[0], _GAP + place // columns * cell[1]
        _draw(sheet, (left, top), items[k], found[k], [folder / row.path for row in rows[k]])
    return encode_png(np.asarray(sheet))


def _spread(numbers: list[int], most: int) -> list[int]:
    """Return at most so many numbers, evenly from the first to the last."""
    if len(numbers) <= most:
        return numbers
    return [numbers[k] for k in np.linspace(0, len(numbers) - 1, most).round().astype(int)]


def _draw(sheet: Image.Image, at: tuple[int, int], item: Item, found: Found, crops: Sequence[Path]) -> None:
    """Draw one photograph's cell: picture, crops, caption."""
    assert item.file is not None
    left, top = at
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    picture = thumbnail(read_image(item.file), found.faces, _WIDE, _HIGH)
    sheet.paste(Image.fromarray(picture), (left + (_WIDE - picture.shape[1]) // 2, top + _HIGH - picture.shape[0]))
    top += _HIGH + 5
    room = (_WIDE + 3) // (_CROP + 3)
    shown = crops if len(crops) <= room else crops[: room - 1]
    for k, path in enumerate(shown):
        crop = Image.fromarray(as_color(read_image(path), "rgb")).resize((_CROP, _CROP), Image.Resampling.BOX)
        sheet.paste(crop, (left + k * (_CROP + 3), top))
    if len(shown) < len(crops):
        more = f"+{len(crops) - len(shown)}"
        pen.text((left + len(shown) * (_CROP + 3) + _CROP // 2, top + _CROP // 2), more, MUTED, font, anchor="mm")
    top += _CROP + 4
    pen.text((left, top), _short(item.source, font), INK, font)
    count = len(found.faces)
    told = NO_FACE if not count else f"{count} face{'s' if count > 1 else ''}, score {_scores(found.faces)}"
    pen.text((left, top + _LINE - 2), told, MUTED if count else ORANGE, font)


def _scores(faces: Sequence[Face]) -> str:
    low, high = (f"{pick(face.score for face in faces):.2f}" for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def _short(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Return a path so short that it fits under its picture: its end tells more than its beginning."""
    line = one_line(text)
    if font.getlength(line) <= _WIDE:
        return line
    while line and font.getlength("…" + line) > _WIDE:
        line = line[1:]
    return "…" + line


def thumbnail(pixels: Pixels, faces: Sequence[Face], width: int, height: int) -> Pixels:
    """Return a photograph reduced to fit `width` x `height`, RGB, with the faces' boxes and landmarks drawn on it."""
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    picture = Image.fromarray(as_color(pixels, "rgb")).resize(size, method)
    pen = ImageDraw.Draw(picture)
    for face in faces:
        left, top, wide, high = (value * scale for value in face.box)
        pen.rectangle((left, top, left + wide, top + high), outline=BOX, width=2)
        for x, y in (face.landmarks or ()) if wide > _SMALL else ():  # dots would cover a smaller face
            x, y = x * scale, y * scale
            pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=BOX)
    return np.asarray(picture)
