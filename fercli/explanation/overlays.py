"""Pictures of heat over faces: one a face, and a contact sheet of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from fercli.errors import one_line
from fercli.images import Pixels, as_color
from fercli.report.style import INK, MUTED

SIDE = 256
"""Side of a face and of its overlay in a face's own picture, pixels; more where the model's input is larger."""
THUMBNAIL = 112
"""And on the contact sheet."""
COLUMNS = 5
CELLS = 40
"""Faces on a contact sheet."""

_OPACITY = 0.72
_EDGE = (255, 255, 255)
_GAP = 14
_LINE = 18
_LABEL = 96
_TITLE = 64

Strength = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cell:
    """One face of a contact sheet: face and overlay as thumbnails, what is said of it, and where it comes from."""

    face: Pixels
    overlay: Pixels
    text: str
    note: str


class Sample:
    """Up to `2 * CELLS` faces of however many come, spread evenly: every second goes when it is full, then in turn."""

    def __init__(self) -> None:
        self._cells: list[Cell] = []
        self._stride, self.total = 1, 0

    def wants(self) -> bool:
        """Count a face, and tell whether it is one to be kept."""
        self.total += 1
        if (self.total - 1) % self._stride:
            return False
        if len(self._cells) == 2 * CELLS:
            self._cells, self._stride = self._cells[::2], 2 * self._stride
            return not (self.total - 1) % self._stride
        return True

    def keep(self, cell: Cell) -> None:
        """Keep a face."""
        self._cells.append(cell)

    def spread(self, count: int) -> list[Cell]:
        """Return `count` of the faces, evenly spaced, or all where there are fewer."""
        if count >= len(self._cells):
            return list(self._cells)
        return [self._cells[place * len(self._cells) // count] for place in range(count)]


def enlarge(pixels: npt.NDArray[np.generic], side: int) -> Pixels:
    """Return a square picture at another side: by area averaging where it shrinks, bicubic where it grows."""
    how = Image.Resampling.BOX if side < pixels.shape[0] else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.asarray(pixels, np.uint8)).resize((side, side), how))


def overlay(face: Pixels, strength: Strength, side: int) -> Pixels:
    """Lay heat over a face: the stronger, the brighter and the more opaque; where there is none the grey face shows.

    Args:
        face: uint8 (S, S) or (S, S, 3).
        strength: (T, T), 0..1.
        side: Side of the result, pixels.

    Returns:
        uint8 (side, side, 3).
    """
    grey = as_color(enlarge(as_color(face, "gray"), side), "rgb").astype(np.float32)
    heat = np.asarray(Image.fromarray(strength).resize((side, side), Image.Resampling.BILINEAR))
    heat = np.clip(heat, 0, 1)[..., None]
    color = _colors()[np.rint(heat[..., 0] * 255).astype(np.uint8)]
    mixed = grey + heat * _OPACITY * (color - grey)
    return np.asarray(np.rint(mixed), np.uint8)


def face_picture(
    face: Pixels, strength: Strength, regions: npt.NDArray[np.bool_] | None, title: str, note: str
) -> Image.Image:
    """Draw a face enlarged, beside it its overlay with the action units' regions outlined, and two lines below."""
    side = max(SIDE, strength.shape[0])
    over = overlay(face, strength, side)
    if regions is not None:
        over = _outlined(over, regions)
    picture = Image.new("RGB", (2 * side + 3 * _GAP, side + 2 * _GAP + 2 * _LINE + 10), "white")
    picture.paste(Image.fromarray(as_color(enlarge(face, side), "rgb")), (_GAP, _GAP))
    picture.paste(Image.fromarray(over), (side + 2 * _GAP, _GAP))
    draw = ImageDraw.Draw(picture)
    width = picture.width - 2 * _GAP
    draw.text((_GAP, side + _GAP + 8), _fit(title, 15, width, bold=True), INK, _font(15, bold=True))
    draw.text((_GAP, side + _GAP + 8 + _LINE + 4), _fit(note, 12, width), MUTED, _font(12))
    return picture


def contact_sheet(title: str, note: str, samples: Mapping[str, Sample]) -> Image.Image:
    """Draw faces beside their overlays, in groups with a heading each.

    Args:
        title: What stands above.
        note: What stands under it.
        samples: Faces by emotion, at least one of each.
    """
    groups = _shared(samples)
    cell_width, cell_height = 2 * THUMBNAIL + 2, THUMBNAIL + 2 * _LINE + 4
    columns = min(COLUMNS, max(map(len, groups.values())))
    rows = {name: -(-len(cells) // columns) for name, cells in groups.items()}
    width = max(_LABEL + columns * (cell_width + _GAP) + _GAP, 860)
    picture = Image.new("RGB", (width, _TITLE + sum(rows.values()) * (cell_height + _GAP) + 8), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((_GAP, 12), _fit(title, 17, width - 320, bold=True), INK, _font(17, bold=True))
    draw.text((_GAP, 37), _fit(note, 12, width - 2 * _GAP), MUTED, _font(12))
    _legend(picture, draw, width - 286)
    top = _TITLE
    for name, cells in groups.items():
        draw.line((_GAP, top - 4, width - _GAP, top - 4), "#e3e6eb")
        draw.text((_GAP, top + 4), _fit(name, 14, _LABEL - _GAP, bold=True), INK, _font(14, bold=True))
        total = samples[name].total
        shown = f"{len(cells):,} of {total:,}" if len(cells) < total else f"n = {total:,}"
        draw.text((_GAP, top + 25), shown, MUTED, _font(12))
        for number, cell in enumerate(cells):
            left = _LABEL + _GAP + (number % columns) * (cell_width + _GAP)
            _cell(picture, draw, cell, left, top + 4 + (number // columns) * (cell_height + _GAP), cell_width)
        top += rows[name] * (cell_height + _GAP)
    return picture


def _shared(groups: Mapping[str, Sample]) -> dict[str, list[Cell]]:
    """Share the sheet's places among the groups in whole rows: one each, and more where the most faces are left."""
    rows = dict.fromkeys(groups, 1)
    for _ in range(CELLS // COLUMNS - len(groups)):
        fullest = max(groups, key=lambda name: groups[name].total - rows[name] * COLUMNS)
        if groups[fullest].total > rows[fullest] * COLUMNS:
            rows[fullest] += 1
    return {name: group.spread(rows[name] * COLUMNS) for name, group in groups.items()}


def _cell(picture: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, left: int, top: int, width: int) -> None:
    picture.paste(Image.fromarray(as_color(cell.face, "rgb")), (left, top))
    picture.paste(Image.fromarray(cell.overlay), (left + THUMBNAIL + 2, top))
    draw.text((left, top + THUMBNAIL + 4), _fit(cell.text, 13, width), INK, _font(13))
    draw.text((left, top + THUMBNAIL + 4 + _LINE), _fit(cell.note, 11, width), MUTED, _font(11))


def _legend(picture: Image.Image, draw: ImageDraw.ImageDraw, left: int) -> None:
    """Draw the scale: what no evidence and the face's strongest look like over mid grey."""
    ramp = np.tile(np.linspace(0, 1, 120, dtype=np.float32), (12, 1))[..., None]
    bar = 128 + ramp * _OPACITY * (_colors()[np.rint(ramp[..., 0] * 255).astype(np.uint8)] - 128)
    picture.paste(Image.fromarray(np.rint(bar).astype(np.uint8)), (left + 44, 17))
    draw.text((left + 8, 16), "none", MUTED, _font(12))
    draw.text((left + 170, 16), "the face's most", MUTED, _font(12))


def _outlined(picture: Pixels, regions: npt.NDArray[np.bool_]) -> Pixels:
    """Draw a thin light line where a mask begins and ends."""
    side = picture.shape[0]
    large = np.asarray(Image.fromarray(regions).resize((side, side), Image.Resampling.NEAREST), bool)
    edge = np.zeros_like(large)
    edge[1:] |= large[1:] != large[:-1]
    edge[:, 1:] |= large[:, 1:] != large[:, :-1]
    result = picture.copy()
    result[edge] = (0.35 * result[edge] + 0.65 * np.array(_EDGE)).astype(np.uint8)
    return result


@cache
def _colors() -> npt.NDArray[np.float32]:
    """Return the colour of each strength, (256, 3): "inferno", whose lightness rises evenly."""
    table = matplotlib.colormaps["inferno"](np.arange(256))[:, :3]
    return np.asarray(table * 255, np.float32)


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return matplotlib's own font, which is there wherever this runs and knows most alphabets."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _fit(text: str, size: int, width: int, bold: bool = False) -> str:
    """Return a text as one line that is no wider than `width`: its middle gives way, since names differ at the end."""
    line, font = one_line(text), _font(size, bold)
    if font.getlength(line) <= width:
        return line
    low, high = 0, len(line)
    while low < high:  # as many letters as fit
        kept = (low + high + 1) // 2
        low, high = (kept, high) if font.getlength(_shortened(line, kept)) <= width else (low, kept - 1)
    return _shortened(line, low)


def _shortened(line: str, kept: int) -> str:
    ahead = kept // 2
    return line[:ahead] + "…" + line[len(line) - (kept - ahead) :]
