"""Detection of small faces in large photographs, and of rotated faces, with any detector.

A detector resizes photographs to its own input size, where small faces in large photographs have too few pixels to be
found. `with_search` adds passes at larger sizes, as the smallest face of interest requires: each in overlapping tiles
that fit the detector's input, so that memory does not grow with the photograph. Duplicate detections are suppressed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from fercli.faces.base import Box, Detector, Face, Point, clip_to_image
from fercli.faces.nms import iou
from fercli.faces.scaling import Scaling, reduce_to
from fercli.images import Color, Pixels, as_color

SAME_FACE_IOU = 0.4
"""IoU above which boxes from two passes, or two rotations, are the same face."""
PART_SHARE = 0.8
"""A box with this fraction of its area inside a larger, higher-scoring one is part of that face: an eye, a mouth."""
NEAR_DEFAULT = 1.1
"""A size up to this multiple of the detector's default replaces the default pass instead of adding one. At 1.25, yunet
no longer finds a face that fills the photograph."""


@dataclass(frozen=True, slots=True)
class Search:
    """Search options.

    Attributes:
        size: Longest side to which photographs are resized, in pixels; smaller ones are not enlarged. None: derived
            from `min_face`.
        min_face: Side of the smallest face to find, in pixels of the photograph. None: whatever the detector finds at
            its default size.
        turns: Also detect faces rotated by 90, 180 and 270 degrees.
    """

    size: int | None = None
    min_face: int | None = None
    turns: bool = False


@runtime_checkable
class ScalableDetector(Detector, Protocol):
    """A detector whose input size can be chosen.

    Attributes:
        color: Color of its input.
        tile: Longest side of the tiles it is given.
        min_face: Side in input pixels of the smallest face that it reliably finds.
    """

    color: Color
    tile: int
    min_face: int

    def default_side(self, height: int, width: int) -> int:
        """Return the longest side to which `detect` resizes an image of this size."""
        ...

    def detect_unscaled(self, pixels: Pixels) -> list[Face]:
        """Return the faces in an image no larger than `tile`, without resizing it."""
        ...


def with_search(detector: Detector, search: Search) -> Detector:
    """Wrap a detector to apply search options; a detector whose input size is fixed only applies `turns`."""
    unchanged = search == Search() or not (search.turns or isinstance(detector, ScalableDetector))
    return detector if unchanged else _Searcher(detector, search)


class _Searcher:
    """A detector wrapped by `with_search`."""

    def __init__(self, detector: Detector, search: Search) -> None:
        self.name, self.landmarks = detector.name, detector.landmarks
        self._detector, self._search = detector, search

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, largest first."""
        if not self._search.turns:
            return self._upright(pixels)
        height, width = pixels.shape[:2]
        found = []
        for turn in range(4):
            # np.rot90 rotates counterclockwise, so a face rotated clockwise by this turn becomes upright.
            faces = self._upright(np.ascontiguousarray(np.rot90(pixels, turn)))
            found += [_rotate_back(face, turn, height, width) for face in faces]
        return clip_to_image(suppress_overlaps(found), height, width)

    def _upright(self, pixels: Pixels) -> list[Face]:
        detector = self._detector
        if not isinstance(detector, ScalableDetector):
            return detector.detect(pixels)
        height, width = pixels.shape[:2]
        default = detector.default_side(height, width)
        first, *finer = search_sides(height, width, self._search, default, detector.tile, detector.min_face)
        if first == default and not finer:
            return detector.detect(pixels)
        converted = as_color(pixels, detector.color)
        found = detector.detect(pixels) if first == default else _search_whole(detector, converted, first)
        for size in finer:
            found += _search_tiles(detector, converted, size)
        return clip_to_image(suppress_overlaps(found), height, width)


def search_sides(height: int, width: int, search: Search, default: int, tile: int, min_face: int) -> list[int]:
    """Return the longest side of each pass: first the whole photograph, then in tiles, from fine to coarse.

    The whole photograph, at the default size, yields faces of at least `min_face` input pixels; tiles yield those no
    larger than the tiles' overlap. Passes of intermediate size fill any gap between the two.
    """
    longest = max(height, width)
    default = min(default, longest)
    if search.size is not None:
        finest = min(search.size, longest)
    elif search.min_face is not None:
        finest = min(longest, math.ceil(longest * min_face / search.min_face))
    else:
        finest = default
    if finest <= default:
        return [default if search.size is None else finest]
    if finest <= min(tile, NEAR_DEFAULT * default):
        return [finest]
    step = max(2.0, tile_overlap(tile) / min_face)
    found, size = [default], finest
    while size > default:
        found.append(size)
        size = int(size / step)
    return found


def tile_overlap(tile: int) -> int:
    """Return the overlap of neighbouring tiles in pixels: any face up to this size is entirely within one tile."""
    return tile // 4


def tiles(length: int, tile: int) -> list[tuple[int, int, int, int]]:
    """Split a side into overlapping tiles, as few as possible.

    Returns:
        For each tile: start, end, and the range within which the centres of its accepted faces must lie. The ranges
        cover the side and overlap slightly, so that a face located a pixel apart in two tiles is not dropped by both.
    """
    if length <= tile:
        return [(0, length, 0, length)]
    overlap = tile_overlap(tile)
    count = math.ceil((length - overlap) / (tile - overlap))
    starts = [round(k * (length - tile) / (count - 1)) for k in range(count)]
    borders = [0.0, *((one + tile + other) / 2 for one, other in pairwise(starts)), float(length)]
    slack = overlap // 8
    return [
        (start, start + tile, math.floor(low) - slack, math.ceil(high) + slack)
        for start, (low, high) in zip(starts, pairwise(borders), strict=True)
    ]


def suppress_overlaps(faces: list[Face]) -> list[Face]:
    """Suppress faces that overlap a higher-scoring one, or are part of it."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        if not any(iou(face.box, other.box) > SAME_FACE_IOU or _is_part(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _is_part(inner: Box, outer: Box) -> bool:
    width = min(inner[0] + inner[2], outer[0] + outer[2]) - max(inner[0], outer[0])
    height = min(inner[1] + inner[3], outer[1] + outer[3]) - max(inner[1], outer[1])
    area = inner[2] * inner[3]
    return area < outer[2] * outer[3] and max(0.0, width) * max(0.0, height) >= PART_SHARE * area


def _search_whole(detector: ScalableDetector, pixels: Pixels, size: int) -> list[Face]:
    small, scaling = reduce_to(pixels, size)
    return [_to_photograph(face, scaling, 0, 0) for face in detector.detect_unscaled(small)]


def _search_tiles(detector: ScalableDetector, pixels: Pixels, size: int) -> list[Face]:
    """Detect faces in a photograph resized to a longest side, tile by tile."""
    small, scaling = reduce_to(pixels, size)
    height, width = small.shape[:2]
    largest = tile_overlap(detector.tile) if max(height, width) > detector.tile else math.inf
    found = []
    for rows, columns in _grid(height, width, detector.tile):
        top, bottom, *down = rows
        left, right, *across = columns
        for face in detector.detect_unscaled(np.ascontiguousarray(small[top:bottom, left:right])):
            x, y = left + face.box[0] + face.box[2] / 2, top + face.box[1] + face.box[3] / 2
            # Larger faces may be cut off at the tile's edge; a coarser pass sees them whole.
            if across[0] <= x <= across[1] and down[0] <= y <= down[1] and max(face.box[2:]) <= largest:
                found.append(_to_photograph(face, scaling, left, top))
    return found


def _grid(height: int, width: int, tile: int) -> Iterator[tuple[tuple[int, int, int, int], tuple[int, int, int, int]]]:
    for rows in tiles(height, tile):
        for columns in tiles(width, tile):
            yield rows, columns


def _to_photograph(face: Face, scaling: Scaling, left: int, top: int) -> Face:
    """Map a face from a tile to the photograph's coordinates."""
    x, y, wide, high = face.box
    corners = scaling.invert(np.array([left + x, top + y, left + x + wide, top + y + high])).tolist()
    box = corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]
    if face.landmarks is None:
        return replace(face, box=box)
    points = scaling.invert(np.array(face.landmarks) + np.array((left, top))).tolist()
    return replace(face, box=box, landmarks=tuple((px, py) for px, py in points))


def _rotate_back(face: Face, turn: int, height: int, width: int) -> Face:
    """Map a face from an image rotated counterclockwise by quarter turns back to the original."""
    if not turn:
        return face

    def back(x: float, y: float) -> Point:
        return ((width - y, x), (width - x, height - y), (y, height - x))[turn - 1]

    left, top, wide, high = face.box
    (x0, y0), (x1, y1) = back(left, top), back(left + wide, top + high)
    box = min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)
    landmarks = None if face.landmarks is None else tuple(back(x, y) for x, y in face.landmarks)
    return Face(box, face.score, landmarks, 90 * turn)
