"""Searching for close perceptual hashes: multi-index hashing (Norouzi, Punjani and Fleet 2012, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.datasets.perceptual import Hashes, Indices, ones
from fercli.progress import SILENT, Progress

TILE = 1 << 18
"""Pairs of hashes compared at a time: 2 MB of 64-bit words fit into a core's cache."""
FEW = 4096
"""Up to this many hashes, preparing the search with few parts would take longer than the comparisons it saves."""
PARTS = 4
"""Parts of a hash in a search among many: of 16 bits each, at most 2 of which differ in one part of a pair at most 10
bits apart."""

Found = tuple[Indices, Indices, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Part:
    """Every n-th bit of a hash: neighbouring bits of a perceptual hash depend on each other more than distant ones.

    Attributes:
        shifts: Positions of its bits in the hash.
        bits: How many of them may differ; -1 if no pair needs to be found by this part.
    """

    shifts: range
    bits: int

    @property
    def mask(self) -> np.uint64:
        """The bits within the hash."""
        return np.uint64(sum(1 << shift for shift in self.shifts))

    def keys(self, hashes: Hashes) -> npt.NDArray[np.uint32]:
        """Return the part of each hash as a small number."""
        keys = np.zeros(len(hashes), np.uint32)
        for position, shift in enumerate(self.shifts):
            keys |= ((hashes >> np.uint64(shift)) & np.uint64(1)).astype(np.uint32) << np.uint32(position)
        return keys

    def differences(self) -> Iterator[int]:
        """Yield the differences between keys that it allows: up to `bits` set bits; none if `bits` is -1."""
        for count in range(self.bits + 1):
            for positions in combinations(range(len(self.shifts)), count):
                yield reduce(int.__or__, (1 << position for position in positions), 0)


def parts_of(bits: int, count: int) -> list[Part]:
    """Return the parts for a search among `count` hashes for pairs at most `bits` apart.

    If more than t_i bits differed in each part i, and the t_i + 1 add up to bits + 1, more than `bits` would differ. So
    at most t_i differ in one of the parts.
    """
    number = PARTS if count > FEW else min(max(PARTS, bits + 1), 64)
    allowed = [(bits + 1 + i) // number - 1 for i in range(number)]
    return [Part(range(i, 64, number), each) for i, each in enumerate(allowed)]


def close_hashes(left: Hashes, right: Hashes, bits: int, progress: Progress = SILENT) -> Iterator[Found]:
    """Yield all pairs of hashes at most `bits` apart, each once, as (left numbers, right numbers, distances).

    Args:
        left: (N,).
        right: (M,).
        bits: Maximum number of different bits.
        progress: Advances with each of `parts_of(bits, max(N, M))`.
    """
    parts = parts_of(bits, max(len(left), len(right)))
    for number, part in enumerate(parts):
        buckets = _Buckets(right, part)
        order, keys, values = _sorted(left, part)
        for difference in part.differences():
            first, last = buckets.of(keys ^ difference)
            yield from _compare(order, values, buckets, first, last, bits, parts[:number])
        progress.advance()


def close_pairs(hashes: Hashes, bits: int, progress: Progress = SILENT) -> Iterator[Found]:
    """Yield all pairs of different hashes of one array, as `close_hashes` does, each with the smaller number first."""
    parts = parts_of(bits, len(hashes))
    for number, part in enumerate(parts):
        buckets = _Buckets(hashes, part)
        order, keys, values = buckets.order, buckets.keys, buckets.values
        for difference in part.differences():
            if difference:  # the other half are the same pairs
                half = np.flatnonzero(keys & (1 << (difference.bit_length() - 1)) == 0)
                first, last = buckets.of(keys[half] ^ difference)
                found = _compare(order[half], values[half], buckets, first, last, bits, parts[:number])
            else:
                after = np.arange(1, len(keys) + 1)
                found = _compare(order, values, buckets, after, buckets.of(keys)[1], bits, parts[:number])
            for i, j, distances in found:
                yield np.minimum(i, j), np.maximum(i, j), distances
        progress.advance()


def _sorted(hashes: Hashes, part: Part) -> tuple[Indices, npt.NDArray[np.uint32], Hashes]:
    """Return the order of hashes by their part, and the parts and hashes in that order."""
    keys = part.keys(hashes)
    order = np.argsort(keys, kind="stable")
    return order, keys[order], hashes[order]


class _Buckets:
    """Hashes sorted by a part, so that those with equal parts are neighbours.

    Attributes:
        order: Number of each hash, (N,).
        keys: Their parts.
        values: The hashes.
    """

    def __init__(self, hashes: Hashes, part: Part) -> None:
        self.order, self.keys, self.values = _sorted(hashes, part)
        self._starts = np.searchsorted(self.keys, np.arange((1 << len(part.shifts)) + 1))

    def of(self, keys: npt.NDArray[np.integer[Any]]) -> tuple[Indices, Indices]:
        """Return the first position of each key's bucket, and the position after its last."""
        return self._starts[keys], self._starts[keys + 1]


def _compare(
    order: Indices,
    values: Hashes,
    buckets: _Buckets,
    first: Indices,
    last: Indices,
    bits: int,
    earlier: list[Part],
) -> Iterator[Found]:
    """Compare hashes with those at positions `first` to `last` of the buckets, about `TILE` pairs at a time.

    Pairs that one of the `earlier` parts finds are left out.
    """
    counts = last - first
    ends = np.cumsum(counts)
    low = 0
    while low < len(counts):
        before = int(ends[low] - counts[low])
        high = max(low + 1, int(np.searchsorted(ends, before + TILE, "right")))
        own = counts[low:high]
        if total := int(ends[high - 1]) - before:
            at = np.arange(total) + np.repeat(first[low:high] - (ends[low:high] - own - before), own)
            apart = np.repeat(values[low:high], own) ^ buckets.values[at]
            distances = ones(apart)
            hits = np.flatnonzero(distances <= bits)
            for part in earlier:
                hits = hits[ones(apart[hits] & part.mask) > part.bits]
            if len(hits):
                rows = low + np.searchsorted(ends[low:high], before + hits, "right")
                yield order[rows], buckets.order[at[hits]], distances[hits]
        low = high
