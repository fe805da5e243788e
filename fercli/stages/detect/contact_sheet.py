"""The contact sheet: some photographs with the faces found in them, and their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fercli.errors import ImageError
from fercli.faces.base import Face
from fercli.images import Pixels, as_color, encode_png, pixel_digest, read_image
from fercli.report.contact_sheet import Cell, Group, font
from fercli.report.contact_sheet import contact_sheet as lay_out
from fercli.report.style import MUTED, ORANGE
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
_WIDE, _HIGH, _CROP = 232, 174, 48


@dataclass(frozen=True)
class _Chosen:
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
        self._cells: list[_Chosen] = []
        self._last: list[_Chosen] = []

    def offer(self, found: DetectionResult, pictured: Sequence[Pictured]) -> None:
        """Look at the next photograph or video, with the rows of its faces."""
        for seen, rows in pictured:
            if self._with in self._pictured:
                self._cells.append(_Chosen(found.source, seen.frame, seen.faces, [row.path for row in rows], seen.ids))
            self._with += 1
        if is_faceless(found):
            if self._without in self._faceless:
                self._last.append(_Chosen(found.source, None, (), []))
            self._without += 1

    @property
    def cells(self) -> list[_Chosen]:
        """What was chosen, those without a face last."""
        return self._cells + self._last


def contact_sheet(choice: Choice, config: DetectConfig, folder: Path) -> bytes:
    """Return a PNG of photographs with boxes and landmarks, the crops and a caption under each.

    Args:
        choice: What is to be on it.
        config: The stage's options.
        folder: The dataset's.
    """
    return encode_png(lay_out([Group([_cell(one, config, folder) for one in choice.cells])], columns=COLUMNS))


def _spread(count: int, most: int) -> set[int]:
    """Return at most so many of the numbers below `count`, evenly from the first to the last."""
    if count <= most:
        return set(range(count))
    return set(np.linspace(0, count - 1, most).round().astype(int).tolist())


def _pixels(chosen: _Chosen, config: DetectConfig, folder: Path) -> Pixels:
    """Read a photograph again, or jump to the frame of a video."""
    file = file_of(config.photographs, chosen.source)
    if chosen.frame is None:
        return read_image(file)
    with Video(file) as video:
        pixels = video.frame(chosen.frame)
    # A jump may go astray: the right frame has the same face in the same place.
    first = pixel_digest(read_image(folder / chosen.crops[0]))
    if pixels is not None and pixel_digest(crop_of(pixels, chosen.faces[0], config)) == first:
        return pixels
    with Video(file) as video:
        for number, _, pixels in video.frames():
            if number == chosen.frame:
                return pixels
    raise ImageError("unreadable", f"{file}: frame {chosen.frame} is not there any more")


def _cell(chosen: _Chosen, config: DetectConfig, folder: Path) -> Cell:
    """Return one photograph's cell: the picture above its crops, and what was found."""
    picture = Image.new("RGB", (_WIDE, _HIGH + 5 + _CROP), "white")
    photograph = thumbnail(_pixels(chosen, config, folder), chosen.faces, _WIDE, _HIGH)
    at = (_WIDE - photograph.shape[1]) // 2, _HIGH - photograph.shape[0]
    picture.paste(Image.fromarray(photograph), at)
    _paste_crops(picture, [folder / path for path in chosen.crops])
    text = chosen.source if chosen.frame is None else f"{chosen.source}, frame {chosen.frame:,}"
    count = len(chosen.faces)
    if not count:
        return Cell(np.asarray(picture), text, NO_FACE, ORANGE)
    ids = f" ({', '.join(str(int(one)) for one in chosen.ids)})" if chosen.ids else ""
    note = f"{count} face{'s' if count > 1 else ''}{ids}, score {_scores(chosen.faces)}"
    return Cell(np.asarray(picture), text, note)


def _paste_crops(picture: Image.Image, crops: Sequence[Path]) -> None:
    """Paste as many crops as there is room for under the photograph, and say how many more there are."""
    top, step = _HIGH + 5, _CROP + 3
    room = (_WIDE + 3) // step
    shown = crops if len(crops) <= room else crops[: room - 1]
    for k, path in enumerate(shown):
        crop = Image.fromarray(as_color(read_image(path), "rgb")).resize((_CROP, _CROP), Image.Resampling.BOX)
        picture.paste(crop, (k * step, top))
    if len(shown) < len(crops):
        at = len(shown) * step + _CROP // 2, top + _CROP // 2
        more = f"+{len(crops) - len(shown)}"
        ImageDraw.Draw(picture).text(at, more, MUTED, font(13), anchor="mm")


def _scores(faces: Sequence[Face]) -> str:
    low, high = (f"{pick(face.score for face in faces):.2f}" for pick in (min, max))
    return low if low == high else f"{low} to {high}"


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
