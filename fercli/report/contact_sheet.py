"""The layout of contact sheets: rows of pictures in labelled groups, with optional captions."""

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
_LABEL = 110  # width of group labels
_LINE = 18
_CLOSE = 4  # gap between pictures without captions; with captions it is the margin
_MAX_TITLE_WIDTH = 860  # a narrow sheet is widened up to this for its title


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a sheet.

    Attributes:
        picture: RGB.
        text: The first line below it; shortened at its start, since the end of a path is more informative.
        note: The second line.
        color: Colour of the second line.
    """

    picture: Pixels
    text: str = ""
    note: str = ""
    color: str = MUTED


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that belong together; each group starts a new row.

    Attributes:
        cells: The pictures.
        label: Text before the first row.
        note: A second line below the label.
    """

    cells: Sequence[Cell]
    label: str = ""
    note: str = ""


def contact_sheet(
    groups: Sequence[Group], *, columns: int, title: str = "", note: str = "", corner: Pixels | None = None
) -> Pixels:
    """Lay out pictures on a white sheet. Text that does not fit is shortened.

    Args:
        groups: Groups from top to bottom.
        columns: Maximum number of pictures in a row.
        title: Title at the top.
        note: A second line below the title.
        corner: A picture to the right of the title, such as a colour scale.

    Returns:
        RGB pixels.
    """
    cells = [cell for group in groups for cell in group.cells]
    width = max((cell.picture.shape[1] for cell in cells), default=0)
    gap = MARGIN if any(cell.text or cell.note for cell in cells) else _CLOSE
    left = MARGIN + (_LABEL if any(group.label for group in groups) else 0)
    used = max(1, *(min(columns, len(group.cells)) for group in groups))
    corner_width = corner.shape[1] + MARGIN if corner is not None else 0
    heading = round(max(text_width(title, 17, bold=True), text_width(note, 12))) + corner_width + 2 * MARGIN
    sheet_width = max(left + used * (width + gap) - gap + MARGIN, min(heading, _MAX_TITLE_WIDTH))
    head = MARGIN + (25 if title else 0) + (20 if note else 0) + (10 if title or note else 0)
    heights = [_height(group, used, gap) for group in groups]
    sheet = Image.new("RGB", (sheet_width, head + sum(heights) + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    write(pen, (MARGIN, MARGIN), title, 17, INK, sheet_width - corner_width - 2 * MARGIN, bold=True)
    write(pen, (MARGIN, MARGIN + 25), note, 12, MUTED, sheet_width - 2 * MARGIN)
    if corner is not None:
        sheet.paste(Image.fromarray(corner), (sheet_width - corner_width, MARGIN))
    top = head
    for group, height in zip(groups, heights, strict=True):
        if group.label:
            pen.line((MARGIN, top, sheet_width - MARGIN, top), RULE)
            write(pen, (MARGIN, top + 8), group.label, 14, INK, _LABEL - MARGIN, bold=True)
            write(pen, (MARGIN, top + 29), group.note, 12, MUTED, _LABEL - MARGIN)
        row = _row_height(group, gap)
        for number, cell in enumerate(group.cells):
            at = left + number % used * (width + gap), top + _space_above(group) + number // used * row
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
    """Write text on one line, shortened to `room` pixels."""
    chosen = font(size, bold=bold)
    pen.text(at, shorten(one_line(text), room, keep, chosen.getlength), color, chosen)


def text_width(text: str, size: int, *, bold: bool = False) -> float:
    """Return the width in pixels of a text that is not shortened."""
    return font(size, bold=bold).getlength(one_line(text))


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return matplotlib's bundled font, which is always available and covers most alphabets."""
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


def _space_above(group: Group) -> int:
    """Return the space between the rule at a group's top and its pictures."""
    return 6 if group.label else 0


def _row_height(group: Group, gap: int) -> int:
    """Return the vertical distance between rows of a group."""
    lines = any(cell.text for cell in group.cells) + any(cell.note for cell in group.cells)
    return _picture_height(group) + (4 + lines * _LINE if lines else 0) + gap


def _height(group: Group, columns: int, gap: int) -> int:
    """Return a group's height; at least that of its label."""
    rows = -(-len(group.cells) // columns)
    return max(_space_above(group) + rows * _row_height(group, gap), 52 if group.label else 0)
