"""The contact sheet: some photographs with the faces found in them, and their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fercli.errors import ImageError, one_line
from fercli.faces.base import Face
from fercli.images import Pixels, as_color, encode_png, pixel_digest, read_image
from fercli.report.style import INK, MUTED, ORANGE
from fercli.stages.detect.config import DetectConfig
from fercli.stages.detect.face_extractor import NO_FACE, DetectionResult, crop_of
from fercli.stages.detect.layout import file_of
from fercli.stages.detect.rows import Pictured
from fercli.stages.detect.stats import is_faceless
from fercli.videos import Video

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


@dataclass(frozen=True)
class _Cell:
    source: str
    frame: int | None
    faces: tuple[Face, ...]
    crops: list[str]
    ids: tuple[str, ...] = ()


class Choice:
    """Chooses the pictures of the sheet while all of them go by.

    Args:
        pictures: How many photographs and frames with a face there will be.
        faceless: How many photographs without one.
    """

    def __init__(self, pictures: int, faceless: int) -> None:
        self._faceless = _spread(faceless, FACELESS)
        self._pictured = _spread(pictures, MOST - len(self._faceless))
        self._with = self._without = 0
        self._cells: list[_Cell] = []
        self._last: list[_Cell] = []

    def offer(self, found: DetectionResult, pictured: Sequence[Pictured]) -> None:
        """Look at the next photograph or video, with the rows of its faces."""
        for seen, rows in pictured:
            if self._with in self._pictured:
                self._cells.append(_Cell(found.source, seen.frame, seen.faces, [row.path for row in rows], seen.ids))
            self._with += 1
        if is_faceless(found):
            if self._without in self._faceless:
                self._last.append(_Cell(found.source, None, (), []))
            self._without += 1

    @property
    def cells(self) -> list[_Cell]:
        """What was chosen, those without a face last."""
        return self._cells + self._last


def contact_sheet(choice: Choice, config: DetectConfig, folder: Path) -> bytes:
    """Return a PNG of photographs with boxes and landmarks, the crops and a caption under each.

    Args:
        choice: What is to be on it.
        config: The stage's options.
        folder: The data set's.
    """
    cells = choice.cells
    columns = min(COLUMNS, len(cells))
    cell = _WIDE + _GAP, _HIGH + _CROP + 2 * _LINE + 2 * _GAP
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, -(-len(cells) // columns) * cell[1] + _GAP), "white")
    for place, chosen in enumerate(cells):
        left, top = _GAP + place % columns * cell[0], _GAP + place // columns * cell[1]
        pixels = _pixels(chosen, config, folder)
        _draw(sheet, (left, top), pixels, chosen, [folder / path for path in chosen.crops])
    return encode_png(np.asarray(sheet))


def _spread(count: int, most: int) -> set[int]:
    """Return at most so many of the numbers below `count`, evenly from the first to the last."""
    if count <= most:
        return set(range(count))
    return set(np.linspace(0, count - 1, most).round().astype(int).tolist())


def _pixels(cell: _Cell, config: DetectConfig, folder: Path) -> Pixels:
    """Read a photograph again, or jump to the frame of a video."""
    file = file_of(config.photographs, cell.source)
    if cell.frame is None:
        return read_image(file)
    with Video(file) as video:
        pixels = video.frame(cell.frame)
    # A jump may go astray: the right frame has the same face in the same place.
    first = pixel_digest(read_image(folder / cell.crops[0]))
    if pixels is not None and pixel_digest(crop_of(pixels, cell.faces[0], config)) == first:
        return pixels
    with Video(file) as video:
        for number, _, pixels in video.frames():
            if number == cell.frame:
                return pixels
    raise ImageError("unreadable", f"{file}: frame {cell.frame} is not there any more")


def _draw(sheet: Image.Image, at: tuple[int, int], pixels: Pixels, cell: _Cell, crops: Sequence[Path]) -> None:
    """Draw one photograph's cell: picture, crops, caption."""
    left, top = at
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    picture = thumbnail(pixels, cell.faces, _WIDE, _HIGH)
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
    frame = "" if cell.frame is None else f", frame {cell.frame:,}"
    pen.text((left, top), _short(cell.source, font, _WIDE - font.getlength(frame)) + frame, INK, font)
    count = len(cell.faces)
    whose = f" ({', '.join(str(int(one)) for one in cell.ids)})" if cell.ids else ""
    told = NO_FACE if not count else f"{count} face{'s' if count > 1 else ''}{whose}, score {_scores(cell.faces)}"
    pen.text((left, top + _LINE - 2), told, MUTED if count else ORANGE, font)


def _scores(faces: Sequence[Face]) -> str:
    low, high = (f"{pick(face.score for face in faces):.2f}" for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def _short(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> str:
    """Return a path so short that it fits under its picture: its end tells more than its beginning."""
    line = one_line(text)
    if font.getlength(line) <= width:
        return line
    while line and font.getlength("…" + line) > width:
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
