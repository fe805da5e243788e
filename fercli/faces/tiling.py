"""Finding small faces in large photographs, and faces turned by quarter turns, by any detector.

A detector searches a photograph at a size of its own, at which a small face of a large photograph has too few pixels to
be found. `searching` adds passes at larger sizes, as far as the smallest face wanted needs them: each in overlapping
tiles that the detector can take, so that memory does not grow with the photograph. Each face is kept once, the surest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from fercli.faces.base import Box, Detector, Face, Point, in_picture
from fercli.faces.nms import iou
from fercli.faces.scaling import Scaling, reduce_to
from fercli.images import Color, Pixels, as_color

SAME = 0.4
"""Boxes of two passes, or of two turns, that overlap by more (intersection over union) are of one face."""
WITHIN = 0.8
"""A face of which so much lies within a surer, larger one is a part of that: an eye, a mouth."""
NEARLY = 1.1
"""A size up to so many times the detector's own is searched instead of it, not besides. At 1.25 times yunet no longer
finds a face that fills the photograph."""


@dataclass(frozen=True, slots=True)
class Search:
    """How photographs are searched.

    Attributes:
        size: Longest side at which faces are looked for, pixels; a smaller photograph is not enlarged to it. None: as
            large as `smallest` needs.
        smallest: Side of the smallest face that is not to be passed over, in the photograph's own pixels. None: what
            the detector finds at its usual size.
        turns: Look for faces turned by 90, 180 and 270 degrees, too.
    """

    size: int | None = None
    smallest: int | None = None
    turns: bool = False


@runtime_checkable
class Network(Detector, Protocol):
    """A detector that can be told the size to search at.

    Attributes:
        color: The color it looks at.
        tile: Longest side of a picture that it is given at once, beside the whole photograph at its usual size.
        reach: Side of the smallest face that it finds well, pixels of what it searches.
    """

    color: Color
    tile: int
    reach: int

    def usual(self, height: int, width: int) -> int:
        """Return the longest side at which `detect` searches a picture of this size, pixels."""
        ...

    def find(self, pixels: Pixels) -> list[Face]:
        """Return the faces of a picture searched at its own size, no larger than `tile`."""
        ...


def searching(detector: Detector, search: Search) -> Detector:
    """Return a detector that searches as it is told; one whose size cannot be told is asked as it is."""
    idle = search == Search() or not (search.turns or isinstance(detector, Network))
    return detector if idle else _Searcher(detector, search)


class _Searcher:
    """See `searching`."""

    def __init__(self, detector: Detector, search: Search) -> None:
        self.name, self.landmarks = detector.name, detector.landmarks
        self._detector, self._search = detector, search

    def detect(self, pixels: Pixels) -> list[Face]:
        """Return the faces, the largest first."""
        if not self._search.turns:
            return self._upright(pixels)
        height, width = pixels.shape[:2]
        found = []
        for turn in range(4):
            # numpy turns against the clock: a face turned with it stands upright in the turned picture.
            faces = self._upright(np.ascontiguousarray(np.rot90(pixels, turn)))
            found += [_turned_back(face, turn, height, width) for face in faces]
        return in_picture(surest(found), height, width)

    def _upright(self, pixels: Pixels) -> list[Face]:
        detector = self._detector
        if not isinstance(detector, Network):
            return detector.detect(pixels)
        height, width = pixels.shape[:2]
        usual = detector.usual(height, width)
        first, *finer = sizes(height, width, self._search, usual, detector.tile, detector.reach)
        if first == usual and not finer:
            return detector.detect(pixels)
        seen = as_color(pixels, detector.color)
        found = detector.detect(pixels) if first == usual else _whole(detector, seen, first)
        for size in finer:
            found += _tiled(detector, seen, size)
        return in_picture(surest(found), height, width)


def sizes(height: int, width: int, search: Search, usual: int, tile: int, reach: int) -> list[int]:
    """Return the longest sides at which a photograph is searched: first whole, then in tiles, from fine to coarse.

    Whole, at the usual size, faces of `reach` pixels there and larger are found. In tiles those up to the width that
    two of them share: where that leaves a gap between, there are passes of sizes between.
    """
    longest = max(height, width)
    usual = min(usual, longest)
    if search.size is not None:
        finest = min(search.size, longest)
    elif search.smallest is not None:
        finest = min(longest, math.ceil(longest * reach / search.smallest))
    else:
        finest = usual
    if finest <= usual:
        return [usual if search.size is None else finest]
    if finest <= min(tile, NEARLY * usual):
        return [finest]
    step = max(2.0, shared(tile) / reach)
    found, size = [usual], finest
    while size > usual:
        found.append(size)
        size = int(size / step)
    return found


def shared(tile: int) -> int:
    """Return the pixels that neighbouring tiles share: a face up to this size is whole in one of them."""
    return tile // 4


def tiles(length: int, tile: int) -> list[tuple[int, int, int, int]]:
    """Cut a side into overlapping parts, as few as do.

    Returns:
        Of each part: start, end, and from where to where the middle of a face may lie that is counted in it. These
        cover the side; they overlap a little, so that one found a pixel apart in two parts is not lost by both.
    """
    if length <= tile:
        return [(0, length, 0, length)]
    overlap = shared(tile)
    count = math.ceil((length - overlap) / (tile - overlap))
    starts = [round(k * (length - tile) / (count - 1)) for k in range(count)]
    borders = [0.0, *((one + tile + other) / 2 for one, other in pairwise(starts)), float(length)]
    slack = overlap // 8
    return [
        (start, start + tile, math.floor(low) - slack, math.ceil(high) + slack)
        for start, (low, high) in zip(starts, pairwise(borders), strict=True)
    ]


def surest(faces: list[Face]) -> list[Face]:
    """Return the faces without those that a surer one covers, or holds as a part of it."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        if not any(iou(face.box, other.box) > SAME or _part(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _part(inner: Box, outer: Box) -> bool:
    width = min(inner[0] + inner[2], outer[0] + outer[2]) - max(inner[0], outer[0])
    height = min(inner[1] + inner[3], outer[1] + outer[3]) - max(inner[1], outer[1])
    area = inner[2] * inner[3]
    return area < outer[2] * outer[3] and max(0.0, width) * max(0.0, height) >= WITHIN * area


def _whole(network: Network, pixels: Pixels, size: int) -> list[Face]:
    small, scaling = reduce_to(pixels, size)
    return [_moved(face, scaling, 0, 0) for face in network.find(small)]


def _tiled(network: Network, pixels: Pixels, size: int) -> list[Face]:
    """Search a photograph at a size, tile by tile."""
    small, scaling = reduce_to(pixels, size)
    height, width = small.shape[:2]
    largest = shared(network.tile) if max(height, width) > network.tile else math.inf
    found = []
    for rows, columns in _grid(height, width, network.tile):
        top, bottom, *down = rows
        left, right, *across = columns
        for face in network.find(np.ascontiguousarray(small[top:bottom, left:right])):
            x, y = left + face.box[0] + face.box[2] / 2, top + face.box[1] + face.box[3] / 2
            # A larger one may be cut by the tile's edge; a coarser pass sees it whole.
            if across[0] <= x <= across[1] and down[0] <= y <= down[1] and max(face.box[2:]) <= largest:
                found.append(_moved(face, scaling, left, top))
    return found


def _grid(height: int, width: int, tile: int) -> Iterator[tuple[tuple[int, int, int, int], tuple[int, int, int, int]]]:
    for rows in tiles(height, tile):
        for columns in tiles(width, tile):
            yield rows, columns


def _moved(face: Face, scaling: Scaling, left: int, top: int) -> Face:
    """Return a face of a tile in the photograph's own pixels."""
    x, y, wide, high = face.box
    corners = scaling.back(np.array([left + x, top + y, left + x + wide, top + y + high])).tolist()
    box = corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]
    if face.landmarks is None:
        return replace(face, box=box)
    points = scaling.back(np.array(face.landmarks) + np.array((left, top))).tolist()
    return replace(face, box=box, landmarks=tuple((px, py) for px, py in points))


def _turned_back(face: Face, turn: int, height: int, width: int) -> Face:
    """Return a face of a picture turned by quarter turns against the clock, in the picture as it was."""
    if not turn:
        return face

    def back(x: float, y: float) -> Point:
        return ((width - y, x), (width - x, height - y), (y, height - x))[turn - 1]

    left, top, wide, high = face.box
    (x0, y0), (x1, y1) = back(left, top), back(left + wide, top + high)
    box = min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)
    landmarks = None if face.landmarks is None else tuple(back(x, y) for x, y in face.landmarks)
    return Face(box, face.score, landmarks, 90 * turn)
