"""Heat maps drawn over faces: one image per face, and a contact sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from fercli.images import Pixels, as_color
from fercli.report.contact_sheet import Cell, Group, contact_sheet, text_width, write
from fercli.report.style import INK, MUTED

SIDE = 256
"""Minimum side of the face and of its overlay in an image of one face, pixels; larger if the model's input is."""
THUMBNAIL = 112
"""The same on the contact sheet."""
COLUMNS = 5
CELLS = 40
"""Faces on a contact sheet."""

_OPACITY = 0.72
_EDGE = (255, 255, 255)
_GAP = 14
_LINE = 18

Strength = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SampledFace:
    """One face of a contact sheet: face and overlay as thumbnails, caption and note."""

    face: Pixels
    overlay: Pixels
    text: str
    note: str


class Sample:
    """An evenly spaced sample of a stream of faces, at most `2 * CELLS`; when full, it drops every second one."""

    def __init__(self) -> None:
        self._cells: list[SampledFace] = []
        self._stride, self.total = 1, 0

    def select(self) -> bool:
        """Count a face and return whether to add it."""
        self.total += 1
        if (self.total - 1) % self._stride:
            return False
        if len(self._cells) == 2 * CELLS:
            self._cells, self._stride = self._cells[::2], 2 * self._stride
            return not (self.total - 1) % self._stride
        return True

    def add(self, cell: SampledFace) -> None:
        """Add a face."""
        self._cells.append(cell)

    def spread(self, count: int) -> list[SampledFace]:
        """Return `count` of the faces, evenly spaced, or all if there are fewer."""
        if count >= len(self._cells):
            return list(self._cells)
        return [self._cells[index * len(self._cells) // count] for index in range(count)]


def enlarge(pixels: npt.NDArray[np.generic], side: int) -> Pixels:
    """Resize a square image: area averaging to shrink, bicubic to enlarge."""
    resampling = Image.Resampling.BOX if side < pixels.shape[0] else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.asarray(pixels, np.uint8)).resize((side, side), resampling))


def overlay(face: Pixels, strength: Strength, side: int) -> Pixels:
    """Draw heat over a face: brighter and more opaque where stronger, the grey face where there is none.

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
    """Draw an enlarged face next to its overlay, with the action unit regions outlined and two lines of text below."""
    side = max(SIDE, strength.shape[0])
    over = overlay(face, strength, side)
    if regions is not None:
        over = _outline(over, regions)
    picture = Image.new("RGB", (2 * side + 3 * _GAP, side + 2 * _GAP + 2 * _LINE + 10), "white")
    picture.paste(Image.fromarray(as_color(enlarge(face, side), "rgb")), (_GAP, _GAP))
    picture.paste(Image.fromarray(over), (side + 2 * _GAP, _GAP))
    pen = ImageDraw.Draw(picture)
    width = picture.width - 2 * _GAP
    write(pen, (_GAP, side + _GAP + 8), title, 15, INK, width, bold=True)
    write(pen, (_GAP, side + _GAP + 8 + _LINE + 4), note, 12, MUTED, width)
    return picture


def sample_sheet(title: str, note: str, samples: Mapping[str, Sample]) -> Pixels:
    """Lay out faces next to their overlays, in groups with a heading each.

    Args:
        title: Title.
        note: Line below the title.
        samples: Faces by emotion, at least one each.
    """
    groups = []
    for name, faces in allocate_cells(samples).items():
        total = samples[name].total
        shown = f"{len(faces):,} of {total:,}" if len(faces) < total else f"n = {total:,}"
        groups.append(Group([Cell(_pair(one), one.text, one.note) for one in faces], name, shown))
    return contact_sheet(groups, columns=COLUMNS, title=title, note=note, corner=_legend())


def _pair(sampled: SampledFace) -> Pixels:
    gap = np.full((THUMBNAIL, 2, 3), 255, np.uint8)
    return np.concatenate([as_color(sampled.face, "rgb"), gap, sampled.overlay], 1)


def allocate_cells(groups: Mapping[str, Sample]) -> dict[str, list[SampledFace]]:
    """Allocate rows of the sheet to the groups: one each, then to whichever has the most faces left."""
    rows = dict.fromkeys(groups, 1)
    for _ in range(CELLS // COLUMNS - len(groups)):
        fullest = max(groups, key=lambda name: groups[name].total - rows[name] * COLUMNS)
        if groups[fullest].total > rows[fullest] * COLUMNS:
            rows[fullest] += 1
    return {name: group.spread(rows[name] * COLUMNS) for name, group in groups.items()}


def _legend() -> Pixels:
    """Draw the colour scale over mid grey, from no evidence to the maximum of the face."""
    ramp = np.tile(np.linspace(0, 1, 120, dtype=np.float32), (12, 1))[..., None]
    bar = 128 + ramp * _OPACITY * (_colors()[np.rint(ramp[..., 0] * 255).astype(np.uint8)] - 128)
    low, high = "none", "maximum of the face"
    left = round(text_width(low, 12)) + 8
    picture = Image.new("RGB", (left + 128 + round(text_width(high, 12)), 18), "white")
    picture.paste(Image.fromarray(np.rint(bar).astype(np.uint8)), (left, 3))
    pen = ImageDraw.Draw(picture)
    write(pen, (0, 2), low, 12, MUTED, left)
    write(pen, (left + 128, 2), high, 12, MUTED, picture.width)
    return np.asarray(picture)


def _outline(picture: Pixels, regions: npt.NDArray[np.bool_]) -> Pixels:
    """Draw a thin light line along the border of a mask."""
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
    """Return the colour of each strength, (256, 3): "inferno", which is perceptually uniform."""
    table = matplotlib.colormaps["inferno"](np.arange(256))[:, :3]
    return np.asarray(table * 255, np.float32)
