"""Exact and near duplicates in a dataset, and which of them leak from one split into another.

Exact copies have equal shape and pixels: equal `sha256` in the index. Near copies are alike but for compression,
brightness, size or mirroring: their perceptual hashes differ in at most 10 of 64 bits, and their pixels have a
correlation of at least 0.97. The hash only selects candidates, most of which are two different pictures.

Here an *image* is a row of the index and a *picture* its distinct content: several images may show one picture.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fercli.datasets.hash_search import close_hashes, close_pairs, parts_of
from fercli.datasets.index import SPLITS, Row
from fercli.datasets.perceptual import Hashes, Indices
from fercli.images import Pixels
from fercli.progress import SILENT, Progress

MAX_BITS = 10
"""Pictures are compared if their perceptual hashes differ by at most this many bits."""
MIN_CORRELATION = 0.97
"""Minimum pixel correlation of near copies."""

EXACT_COPY = "exact copy"
NEAR_COPY = "near copy"
CONSTANT = "constant"
NO_FACE = "no face"
PARENT_ELSEWHERE = "parent in another split"
PARENT_REMOVED = "parent removed"

_PAIRS = 2048
"""Pairs of pictures correlated at a time: 2 x 2048 x 48 x 48 float32 are 38 MB."""


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two near copies.

    Attributes:
        a: Number of the first picture.
        b: Number of the second picture, greater than `a`.
        bits: Hamming distance of the perceptual hashes, 0 to 10.
        correlation: Pearson correlation of the grey pixels at 48 x 48.
        mirrored: Whether one is the mirror image of the other.
    """

    a: int
    b: int
    bits: int
    correlation: float
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """Why an image is removed, and the path of the image that is kept instead or is in another split."""

    reason: str
    copy_of: str = ""


def distinct(rows: Sequence[Row]) -> list[list[int]]:
    """Return the numbers of the rows of each distinct picture, pictures in order of first appearance."""
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        found.setdefault(row.sha256, []).append(number)
    return list(found.values())


def is_constant(pixels: Pixels) -> bool:
    """Return whether all pixels have the same value or colour."""
    return bool((pixels == pixels[:1, :1]).all())


class Pictures(Protocol):
    """Thumbnails of one size by number: an array (N, H, W), or a store."""

    def __getitem__(self, numbers: Indices, /) -> Pixels:
        """Return thumbnails, uint8 (n, H, W)."""
        ...


def near_pairs(
    hashes: tuple[Hashes, Hashes],
    compare: Pictures,
    has_contrast: npt.NDArray[np.bool_],
    *,
    bits: int = MAX_BITS,
    correlation: float = MIN_CORRELATION,
    progress: Progress = SILENT,
) -> list[NearPair]:
    """Return the pairs of near copies among distinct pictures, sorted by number.

    Pictures without contrast have no correlation, hence no near copies. A pair that matches both directly and mirrored
    is reported as whichever correlates better.

    Args:
        hashes: (N,) and (N,), from `perceptual_hashes`: of the pictures and of their mirror images.
        compare: N thumbnails of 48 x 48, from `shrink`; only those with close hashes are read.
        has_contrast: (N,), whether each thumbnail has any contrast.
        bits: Maximum distance of the hashes.
        correlation: Minimum correlation of the pixels.
        progress: Advances with each part of the hashes.
    """
    numbers = np.flatnonzero(has_contrast)
    plain, mirror_hashes = (each[numbers] for each in hashes)
    best: dict[tuple[int, int], NearPair] = {}
    with progress.task("comparing", 2 * len(parts_of(bits, len(plain)))):
        # Directly, (i, j) and (j, i) are the same comparison; with a mirrored hash they are two.
        direct, mirror = close_pairs(plain, bits, progress), close_hashes(plain, mirror_hashes, bits, progress)
        for mirrored, close in ((False, direct), (True, mirror)):
            for i, j, distances in close:
                chosen = i != j
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
    """Yield the pairs with a correlation of at least `least`, as (i, j, position in the lists, correlation)."""
    for low in range(0, len(i), _PAIRS):
        part = slice(low, low + _PAIRS)
        values = correlations(compare, i[part], j[part], mirrored=mirrored)
        for k in np.flatnonzero(values >= least).tolist():
            yield int(i[low + k]), int(j[low + k]), low + k, float(values[k])


def _better(new: NearPair, old: NearPair) -> bool:
    if new.mirrored == old.mirrored:  # same pixels, in either order: the distances may differ by a bit
        return new.bits < old.bits
    return new.correlation > old.correlation


def correlations(compare: Pictures, i: Indices, j: Indices, *, mirrored: bool) -> npt.NDArray[np.float32]:
    """Return the Pearson correlation of pictures `i` with pictures `j`, with `j` optionally mirrored."""
    left, right = compare[i].astype(np.float32), compare[j].astype(np.float32)
    if mirrored:
        right = right[:, :, ::-1]
    left -= left.mean(axis=(1, 2), keepdims=True)
    right -= right.mean(axis=(1, 2), keepdims=True)
    sums = [np.einsum("nhw,nhw->n", x, y) for x, y in ((left, right), (left, left), (right, right))]
    result: npt.NDArray[np.float32] = sums[0] / np.sqrt(sums[1] * sums[2])
    return result


def components(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected components with at least two of `count` nodes, sorted, in order of their first node."""
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
    for node in sorted(paired):  # most nodes are in no pair, and need no list
        groups.setdefault(top(node), []).append(node)
    return [group for group in groups.values() if len(group) > 1]


def partners(near: Iterable[NearPair]) -> dict[int, list[int]]:
    """Return each picture's near copies by decreasing correlation."""
    found: dict[int, list[int]] = {}
    for pair in sorted(near, key=lambda pair: (-pair.correlation, pair.a, pair.b)):
        found.setdefault(pair.a, []).append(pair.b)
        found.setdefault(pair.b, []).append(pair.a)
    return found


def conflicting(rows: Sequence[Row], group: Iterable[int]) -> bool:
    """Return whether the labelled images of a group have more than one emotion."""
    return len({rows[i].emotion for i in group} - {""}) > 1


def removals(
    rows: Sequence[Row],
    pictures: Sequence[Sequence[int]],
    near: Iterable[NearPair] = (),
    constant: Collection[int] = (),
    faceless: Collection[int] = (),
) -> dict[int, Removal]:
    """Return the images to remove so that no picture is in two splits: test outranks validation outranks train.

    An image is removed if a split of higher rank *keeps* an exact or a direct near copy of it. Chains do not count: if
    a train image is near a validation image that is near a test image, only the validation image is removed, since the
    train image then has no near copy left. Copies within one split are kept. A derived image is removed if an ancestor
    is in another split, or was removed as a copy. Any other split ranks lowest.

    Args:
        rows: The index.
        pictures: `distinct(rows)`.
        near: Pairs of `pictures` to be treated as copies.
        constant: Rows of constant images, which are removed first.
        faceless: Rows of images without a face, likewise.
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
    stays = array("q", [-1]) * len(pictures)  # the image of each picture in the highest split
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
    """Return a split's rank: 2 for test, 1 for validation, 0 for train, -1 for any other."""
    return SPLITS.index(split) if split in SPLITS else -1


def ancestors(rows: Sequence[Row]) -> dict[int, list[int]]:
    """Return the ancestors of each derived image within the dataset, its parent first."""
    parents = {row.parent for row in rows} - {""}
    if not parents:
        return {}
    by_path = {row.path: i for i, row in enumerate(rows) if row.path in parents}
    lines: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        line: list[int] = []
        parent = by_path.get(row.parent) if row.parent else None
        while parent is not None and parent != i and parent not in line:  # guards against cycles in a damaged index
            line.append(parent)
            parent = by_path.get(rows[parent].parent) if rows[parent].parent else None
        if line:
            lines[i] = line
    return lines
