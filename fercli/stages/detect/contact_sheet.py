"""The contact sheet: a sample of photographs with their detected faces and crops."""

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
from fercli.stages.detect.face_extractor import NO_FACE, DetectionResult, crop_with_options
from fercli.stages.detect.layout import item_path
from fercli.stages.detect.rows import PictureRows
from fercli.stages.detect.stats import is_faceless
from fercli.videos import Video

SHEET = "contact-sheet.png"
COLUMNS = 5
MAX_PICTURES = 20
"""Maximum number of photographs on the sheet, evenly spaced over all of them."""
MAX_FACELESS = 5
"""Maximum number of them without a face; these come last."""
BOX_COLOR = "#00d5ff"
"""A colour visible on skin, hair, leaves and walls."""

_MIN_MARKED = 16
_WIDE, _HIGH, _CROP = 232, 174, 48


@dataclass(frozen=True)
class _Sampled:
    source: str
    frame: int | None
    faces: tuple[Face, ...]
    crops: list[str]
    ids: tuple[str, ...] = ()


class SheetSampler:
    """Samples the pictures of the sheet from a stream of known length.

    Args:
        pictures: Number of photographs and frames with a face.
        faceless: Number of photographs without one.
    """

    def __init__(self, pictures: int, faceless: int) -> None:
        self._faceless = _spaced(faceless, MAX_FACELESS)
        self._pictured = _spaced(pictures, MAX_PICTURES - len(self._faceless))
        self._seen_pictures = self._seen_faceless = 0
        self._cells: list[_Sampled] = []
        self._faceless_cells: list[_Sampled] = []

    def offer(self, result: DetectionResult, pictured: Sequence[PictureRows]) -> None:
        """Process the next photograph or video, with the rows of its faces."""
        for seen, rows in pictured:
            if self._seen_pictures in self._pictured:
                self._cells.append(
                    _Sampled(result.source, seen.frame, seen.faces, [row.path for row in rows], seen.ids)
                )
            self._seen_pictures += 1
        if is_faceless(result):
            if self._seen_faceless in self._faceless:
                self._faceless_cells.append(_Sampled(result.source, None, (), []))
            self._seen_faceless += 1

    @property
    def cells(self) -> list[_Sampled]:
        """The sampled pictures, those without a face last."""
        return self._cells + self._faceless_cells


def contact_sheet(sampler: SheetSampler, config: DetectConfig, folder: Path) -> bytes:
    """Return a PNG of photographs with boxes and landmarks, with the crops and a caption under each.

    Args:
        sampler: The sampled pictures.
        config: The stage's options.
        folder: The dataset's folder.
    """
    return encode_png(lay_out([Group([_cell(one, config, folder) for one in sampler.cells])], columns=COLUMNS))


def _spaced(count: int, limit: int) -> set[int]:
    """Return at most `limit` of the numbers below `count`, evenly spaced from first to last."""
    if count <= limit:
        return set(range(count))
    return set(np.linspace(0, count - 1, limit).round().astype(int).tolist())


def _read_pixels(sampled: _Sampled, config: DetectConfig, folder: Path) -> Pixels:
    """Read a photograph again, or seek to the frame of a video."""
    file = item_path(config.photographs, sampled.source)
    if sampled.frame is None:
        return read_image(file)
    with Video(file) as video:
        pixels = video.frame(sampled.frame)
    # Seeking may be inexact: the right frame has the same face in the same place.
    first = pixel_digest(read_image(folder / sampled.crops[0]))
    if pixels is not None and pixel_digest(crop_with_options(pixels, sampled.faces[0], config)) == first:
        return pixels
    with Video(file) as video:
        for number, _, pixels in video.frames():
            if number == sampled.frame:
                return pixels
    raise ImageError("unreadable", f"{file}: frame {sampled.frame} no longer exists")


def _cell(sampled: _Sampled, config: DetectConfig, folder: Path) -> Cell:
    """Return one photograph's cell: the picture above its crops, and a caption."""
    picture = Image.new("RGB", (_WIDE, _HIGH + 5 + _CROP), "white")
    photograph = thumbnail(_read_pixels(sampled, config, folder), sampled.faces, _WIDE, _HIGH)
    at = (_WIDE - photograph.shape[1]) // 2, _HIGH - photograph.shape[0]
    picture.paste(Image.fromarray(photograph), at)
    _paste_crops(picture, [folder / path for path in sampled.crops])
    text = sampled.source if sampled.frame is None else f"{sampled.source}, frame {sampled.frame:,}"
    count = len(sampled.faces)
    if not count:
        return Cell(np.asarray(picture), text, NO_FACE, ORANGE)
    ids = f" ({', '.join(str(int(one)) for one in sampled.ids)})" if sampled.ids else ""
    note = f"{count} face{'s' if count > 1 else ''}{ids}, score {_format_scores(sampled.faces)}"
    return Cell(np.asarray(picture), text, note)


def _paste_crops(picture: Image.Image, crops: Sequence[Path]) -> None:
    """Paste the crops under the photograph, as many as fit, then the number of the rest."""
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


def _format_scores(faces: Sequence[Face]) -> str:
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
        pen.rectangle((left, top, left + wide, top + high), outline=BOX_COLOR, width=2)
        for x, y in (face.landmarks or ()) if wide > _MIN_MARKED else ():  # dots would hide a smaller face
            x, y = x * scale, y * scale
            pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=BOX_COLOR)
    return np.asarray(picture)
