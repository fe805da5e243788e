"""The layout of every contact sheet: rows of pictures in labelled groups, with captions where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.errors import one_line, shorten
from fercli.images import Pixels
from fercli.report.style import INK, MUTED, RULE

MARGIN = 14
_LABEL = 110  # width of the groups' labels
_LINE = 18
_CLOSE = 4  # between pictures without captions; with captions they stand as far apart as the margin
_HEADED = 860  # a sheet of few pictures grows up to this width for its title


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a sheet.

    Attributes:
        picture: RGB.
        text: The first line under it; cut at its start where it is too long, since a path's end tells more.
        note: The second line.
        color: Of the second line.
    """

    picture: Pixels
    text: str = ""
    note: str = ""
    color: str = MUTED


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that belong together: they begin a row, and continue in further ones.

    Attributes:
        cells: The pictures.
        label: Stands before the first row.
        note: A second line under the label.
    """

    cells: Sequence[Cell]
    label: str = ""
    note: str = ""


def contact_sheet(
    groups: Sequence[Group], *, columns: int, title: str = "", note: str = "", corner: Pixels | None = None
) -> Pixels:
    """Lay pictures out on a white sheet. No text runs out of its place, whatever it says.

    Args:
        groups: From the top down.
        columns: The most pictures in a row.
        title: Stands above all.
        note: A second line under the title.
        corner: A picture at the right of the title, as of a scale.

    Returns:
        RGB pixels.
    """
    cells = [cell for group in groups for cell in group.cells]
    width = max((cell.picture.shape[1] for cell in cells), default=0)
    gap = MARGIN if any(cell.text or cell.note for cell in cells) else _CLOSE
    left = MARGIN + (_LABEL if any(group.label for group in groups) else 0)
    used = max(1, *(min(columns, len(group.cells)) for group in groups))
    beside = corner.shape[1] + MARGIN if corner is not None else 0
    heading = round(max(text_width(title, 17, bold=True), text_width(note, 12))) + beside + 2 * MARGIN
    whole = max(left + used * (width + gap) - gap + MARGIN, min(heading, _HEADED))
    head = MARGIN + (25 if title else 0) + (20 if note else 0) + (10 if title or note else 0)
    heights = [_height(group, used, gap) for group in groups]
    sheet = Image.new("RGB", (whole, head + sum(heights) + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    write(pen, (MARGIN, MARGIN), title, 17, INK, whole - beside - 2 * MARGIN, bold=True)
    write(pen, (MARGIN, MARGIN + 25), note, 12, MUTED, whole - 2 * MARGIN)
    if corner is not None:
        sheet.paste(Image.fromarray(corner), (whole - beside, MARGIN))
    top = head
    for group, height in zip(groups, heights, strict=True):
        if group.label:
            pen.line((MARGIN, top, whole - MARGIN, top), RULE)
            write(pen, (MARGIN, top + 8), group.label, 14, INK, _LABEL - MARGIN, bold=True)
            write(pen, (MARGIN, top + 29), group.note, 12, MUTED, _LABEL - MARGIN)
        row = _row(group, gap)
        for number, cell in enumerate(group.cells):
            at = left + number % used * (width + gap), top + _above(group) + number // used * row
            _draw(sheet, pen, cell, at, width, _picture_height(group))
        top += height
    return np.asarray(sheet)


def write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    color: str,
    room: int,
    *,
    keep: Literal["middle", "end"] = "middle",
    bold: bool = False,
) -> None:
    """Write a text as one line, shortened to `room` pixels."""
    chosen = font(size, bold=bold)
    pen.text(at, shorten(one_line(text), room, keep, chosen.getlength), color, chosen)


def text_width(text: str, size: int, *, bold: bool = False) -> float:
    """Return how wide `write` makes a text that has room enough, pixels."""
    return font(size, bold=bold).getlength(one_line(text))


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return matplotlib's own font, which is there wherever this runs and knows most alphabets."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _draw(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, cell: Cell, at: tuple[int, int], width: int, height: int
) -> None:
    left, top = at
    sheet.paste(Image.fromarray(cell.picture), at)
    write(pen, (left, top + height + 4), cell.text, 13, INK, width, keep="end")
    write(pen, (left, top + height + 4 + (_LINE if cell.text else 0)), cell.note, 11, cell.color, width)


def _picture_height(group: Group) -> int:
    return max((cell.picture.shape[0] for cell in group.cells), default=0)


def _above(group: Group) -> int:
    """Return the room between a group's top, where its rule is, and its pictures."""
    return 6 if group.label else 0


def _row(group: Group, gap: int) -> int:
    """Return the distance from a row of a group to the next."""
    lines = any(cell.text for cell in group.cells) + any(cell.note for cell in group.cells)
    return _picture_height(group) + (4 + lines * _LINE if lines else 0) + gap


def _height(group: Group, columns: int, gap: int) -> int:
    """Return a group's height, at least that of its label."""
    rows = -(-len(group.cells) // columns)
    return max(_above(group) + rows * _row(group, gap), 52 if group.label else 0)
