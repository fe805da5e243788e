"""Finding equal and nearly equal pictures of a data set, and which of them leak from one split into another.

Exact copies have equal shape and pixels: equal `sha256` in the index. Near copies look the same after a change of
compression, light or size, or mirrored: their perceptual hashes differ in at most 10 of 64 bits, and then their pixels
correlate by at least 0.97. The hash only proposes: most pairs that it proposes are of two different pictures.

A *picture* here is one distinct content, an *image* one row of the index: several images may show one picture.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fercli.datasets.index import SPLITS, Row
from fercli.datasets.perceptual import Hashes, Indices, close_hashes
from fercli.images import Pixels
from fercli.progress import SILENT, Progress

MAX_BITS = 10
"""Perceptual hashes at most this many bits apart make a pair of pictures worth comparing."""
MIN_CORRELATION = 0.97
"""Pixel correlation from which such a pair counts as near copies."""

EXACT_COPY = "exact copy"
NEAR_COPY = "near copy"
CONSTANT = "constant"
NO_FACE = "no face"
PARENT_ELSEWHERE = "parent in another split"
PARENT_REMOVED = "parent removed"

_PAIRS = 2048
"""Picture pairs correlated at once: 2 x 2048 x 48 x 48 float32 are 38 MB."""


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two different pictures that look the same.

    Attributes:
        a: Number of the first picture.
        b: Number of the second, greater than `a`.
        bits: Distance of the perceptual hashes, 0 to 10.
        correlation: Pearson's, of the grey pixels at 48 x 48.
        mirrored: Whether one is the other's mirror image.
    """

    a: int
    b: int
    bits: int
    correlation: float
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """Why an image is to be taken out, and the path of the image that stays, or stands elsewhere, in its stead."""

    reason: str
    copy_of: str = ""


def distinct(rows: Sequence[Row]) -> list[list[int]]:
    """Return the numbers of the rows of each distinct picture, pictures in order of first appearance."""
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        found.setdefault(row.sha256, []).append(number)
    return list(found.values())


def is_constant(pixels: Pixels) -> bool:
    """Tell whether every pixel has the same value (in colour: the same colour)."""
    return bool((pixels == pixels[:1, :1]).all())


class Pictures(Protocol):
    """Small pictures of one size by their numbers: an array (N, H, W), or what keeps them elsewhere."""

    def __getitem__(self, numbers: Indices, /) -> Pixels:
        """Return pictures, uint8 (n, H, W)."""
        ...


def near_pairs(
    hashes: tuple[Hashes, Hashes],
    compare: Pictures,
    lively: npt.NDArray[np.bool_],
    *,
    bits: int = MAX_BITS,
    correlation: float = MIN_CORRELATION,
    progress: Progress = SILENT,
) -> list[NearPair]:
    """Return the pairs of near copies among distinct pictures, sorted by their numbers.

    Pictures without contrast have no correlation, and are nobody's near copy. A pair that holds both as it stands and
    mirrored is told as whichever correlates better.

    Args:
        hashes: (N,) and (N,), from `perceptual_hashes`: of the pictures and of their mirror images.
        compare: N pictures of 48 x 48, from `shrink`; only those of close hashes are looked at.
        lively: (N,), whether each has any contrast at 48 x 48.
        bits: Greatest distance of the hashes.
        correlation: Least correlation of the pixels.
        progress: Moves once a segment of the hashes.
    """
    numbers = np.flatnonzero(lively)
    plain, mirror_hashes = (each[numbers] for each in hashes)
    best: dict[tuple[int, int], NearPair] = {}
    with progress.task("comparing", 2 * (bits + 1)):
        for mirrored, other in ((False, plain), (True, mirror_hashes)):
            for i, j, distances in close_hashes(plain, other, bits, progress):
                # Unmirrored, the two orders of a pair are one; a hash and a mirrored hash make two different pairs.
                chosen = i != j if mirrored else i < j
                found = _correlated(compare, numbers[i[chosen]], numbers[j[chosen]], mirrored, correlation)
                for a, b, k, value in found:
                    pair = NearPair(min(a, b), max(a, b), int(distances[chosen][k]), value, mirrored)
                    key = pair.a, pair.b
                    if key not in best or _better(pair, best[key]):
                        best[key] = pair
    return [best[key] for key in sorted(best)]


def _correlated(
    compare: Pictures, i: Indices, j: Indices, mirrored: bool, least: float
) -> Iterator[tuple[int, int, int, float]]:
    """Yield the pairs that correlate by at least `least`, as (i, j, place in the lists, correlation)."""
    for low in range(0, len(i), _PAIRS):
        part = slice(low, low + _PAIRS)
        values = correlations(compare, i[part], j[part], mirrored=mirrored)
        for k in np.flatnonzero(values >= least).tolist():
            yield int(i[low + k]), int(j[low + k]), low + k, float(values[k])


def _better(new: NearPair, old: NearPair) -> bool:
    if new.mirrored == old.mirrored:  # the same pixels found from both sides: the hashes' distances may differ by a bit
        return new.bits < old.bits
    return new.correlation > old.correlation


def correlations(compare: Pictures, i: Indices, j: Indices, *, mirrored: bool) -> npt.NDArray[np.float32]:
    """Return Pearson's correlation of pictures `i` with pictures `j`, `j` mirrored on request."""
    left, right = compare[i].astype(np.float32), compare[j].astype(np.float32)
    if mirrored:
        right = right[:, :, ::-1]
    left -= left.mean(axis=(1, 2), keepdims=True)
    right -= right.mean(axis=(1, 2), keepdims=True)
    sums = [np.einsum("nhw,nhw->n", x, y) for x, y in ((left, right), (left, left), (right, right))]
    result: npt.NDArray[np.float32] = sums[0] / np.sqrt(sums[1] * sums[2])
    return result


def components(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected components of at least two among `count` nodes, each sorted, in order of first member."""
    above = array("q", range(count))
    paired: set[int] = set()

    def top(node: int) -> int:
        while above[node] != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    for a, b in pairs:
        paired.update((a, b))
        high, low = sorted((top(a), top(b)))
        above[low] = high
    groups: dict[int, list[int]] = {}
    for node in sorted(paired):  # most have no pair, and no list of their own
        groups.setdefault(top(node), []).append(node)
    return [group for group in groups.values() if len(group) > 1]


def partners(near: Iterable[NearPair]) -> dict[int, list[int]]:
    """Return each picture's near copies, the best correlated first."""
    found: dict[int, list[int]] = {}
    for pair in sorted(near, key=lambda pair: (-pair.correlation, pair.a, pair.b)):
        found.setdefault(pair.a, []).append(pair.b)
        found.setdefault(pair.b, []).append(pair.a)
    return found


def conflicting(rows: Sequence[Row], group: Iterable[int]) -> bool:
    """Tell whether the images of a group carry more than one emotion; unlabelled ones do not count."""
    return len({rows[i].emotion for i in group} - {""}) > 1


def removals(
    rows: Sequence[Row],
    pictures: Sequence[Sequence[int]],
    near: Iterable[NearPair] = (),
    constant: Collection[int] = (),
    faceless: Collection[int] = (),
) -> dict[int, Removal]:
    """Return the images to take out so that none of a split is in another: test outranks validation outranks train.

    An image goes where a split of higher rank *keeps* an exact copy of it, or a direct near copy. A chain (a train
    image near a validation image that is near a test image) is no reason: when the middle one is gone, its other end
    has no partner left and stays. Copies within one split stay. An image made from another goes where any image that
    it descends from stands in another split, or went as a copy. Any split but the three ranks lowest.

    Args:
        rows: The index.
        pictures: `distinct(rows)`.
        near: Pairs of `pictures` that count as copies too.
        constant: Numbers of rows to take out before anything else.
        faceless: Likewise: those without a face.
    """
    removed = {i: Removal(NO_FACE) for i in faceless} | {i: Removal(CONSTANT) for i in constant}
    lines = ancestors(rows)
    for i, line in lines.items():
        foreign = [p for p in line if rows[p].split != rows[i].split]
        if foreign:
            removed.setdefault(i, Removal(PARENT_ELSEWHERE, rows[foreign[0]].path))
    picture_of = array("q", bytes(8 * len(rows)))
    for number, images in enumerate(pictures):
        for i in images:
            picture_of[i] = number
    copies = partners(near)
    stays = array("q", [-1]) * len(pictures)  # the image that shows each picture in the highest split
    for rank in range(len(SPLITS) - 1, -2, -1):
        members = [i for i, row in enumerate(rows) if rank_of(row.split) == rank and i not in removed]
        for i in members:
            own = picture_of[i]
            if hit := [p for p in (own, *copies.get(own, ())) if stays[p] >= 0][:1]:
                removed[i] = Removal(EXACT_COPY if hit[0] == own else NEAR_COPY, rows[stays[hit[0]]].path)
        for i in members:
            gone = [removed[p] for p in lines.get(i, ()) if p in removed]
            if copied := [why.copy_of for why in gone if why.reason in (EXACT_COPY, NEAR_COPY)]:
                removed.setdefault(i, Removal(PARENT_REMOVED, copied[0]))
        for i in members:
            if i not in removed and stays[picture_of[i]] < 0:
                stays[picture_of[i]] = i
    return dict(sorted(removed.items()))


def rank_of(split: str) -> int:
    """Return a split's rank: 2 test, 1 validation, 0 train, -1 any other."""
    return SPLITS.index(split) if split in SPLITS else -1


def ancestors(rows: Sequence[Row]) -> dict[int, list[int]]:
    """Return the images of the data set that each made image descends from, the nearest first."""
    parents = {row.parent for row in rows} - {""}
    if not parents:
        return {}
    by_path = {row.path: i for i, row in enumerate(rows) if row.path in parents}
    lines: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        line: list[int] = []
        parent = by_path.get(row.parent) if row.parent else None
        while parent is not None and parent != i and parent not in line:  # a wrong index may go round in circles
            line.append(parent)
            parent = by_path.get(rows[parent].parent) if rows[parent].parent else None
        if line:
            lines[i] = line
    return lines
