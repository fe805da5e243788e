"""The search for close hashes, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.datasets import hash_search
from fercli.datasets.hash_search import FEW, PARTS, close_hashes, close_pairs, parts_of

Pairs = list[tuple[int, int, int]]


def brute_force(left: np.ndarray, right: np.ndarray, bits: int) -> Pairs:
    all_pairs = ((i, j, (int(a) ^ int(b)).bit_count()) for i, a in enumerate(left) for j, b in enumerate(right))
    return sorted(pair for pair in all_pairs if pair[2] <= bits)


def as_pairs(found: object) -> Pairs:
    return sorted(pair for i, j, d in found for pair in zip(i.tolist(), j.tolist(), d.tolist(), strict=True))  # type: ignore[attr-defined]


def check(left: np.ndarray, right: np.ndarray, bits: int) -> None:
    assert as_pairs(close_hashes(left, right, bits)) == brute_force(left, right, bits)
    assert as_pairs(close_pairs(left, bits)) == [pair for pair in brute_force(left, left, bits) if pair[0] < pair[1]]


def flipped(base: int, places: list[int]) -> int:
    for place in places:
        base ^= 1 << place
    return base


# Hashes a few bits from a few centres, so that all distances around the threshold occur.
near_hashes = st.lists(
    st.builds(flipped, st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]), st.lists(st.integers(0, 63), max_size=14)),
    max_size=12,
).map(lambda values: np.array(values, np.uint64))


@pytest.mark.slow
@given(near_hashes, near_hashes, st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_matches_brute_force(left: np.ndarray, right: np.ndarray, bits: int) -> None:
    check(left, right, bits)


@pytest.mark.slow
@given(near_hashes, near_hashes, st.sampled_from([0, 2, 3, 10, 12]))
@settings(max_examples=25, deadline=None)
def test_matches_brute_force_by_the_parts_for_many(left: np.ndarray, right: np.ndarray, bits: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_search, "FEW", -1)
        check(left, right, bits)


@pytest.mark.slow
@pytest.mark.parametrize("tile", [1, 3, 16])
def test_does_not_depend_on_the_tile_size(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_search, "TILE", tile)
    values = np.array([flipped(7, [k % 64, (3 * k) % 64]) for k in range(40)], np.uint64)
    check(values, values, 10)


def test_more_than_the_few_are_searched_by_four_parts() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, FEW + 1, np.uint64)
    hashes[-1] = flipped(int(hashes[5]), [0, 1, 2, 17, 18, 34, 35, 36, 51, 52])
    assert as_pairs(close_pairs(hashes, 10)) == [(5, FEW, 10)]
    assert as_pairs(close_pairs(hashes, 9)) == []


@given(st.integers(0, 63), st.sampled_from([1, FEW + 1]))
def test_parts_cover_all_bits_and_miss_no_pair(bits: int, count: int) -> None:
    parts = parts_of(bits, count)
    assert sorted(shift for part in parts for shift in part.shifts) == list(range(64))
    assert len(parts) >= PARTS  # so that a key has at most 16 bits
    # A pair that no part finds has at least t + 1 differences in each.
    assert sum(part.bits + 1 for part in parts) == bits + 1
