"""Perceptual hashes; `hash_search` finds close ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fercli.images import Pixels, as_color

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]

HASH_SIDE = 32
"""Size at which pictures are hashed."""
COMPARE_SIDE = 48
"""Size at which pixels are compared, that of FER2013."""

_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


def shrink(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Return the grey picture, area-averaged to 32 x 32 and to 48 x 48 regardless of aspect ratio, uint8."""
    grey = as_color(pixels, "gray")
    return _by_area(grey, HASH_SIDE), _by_area(grey, COMPARE_SIDE)


def _by_area(grey: Pixels, side: int) -> Pixels:
    """Resize (H, W) to side x side, each value the mean of the area it covers.

    Pillow's box filter uses whole pixels only: from 48 to 32 that is asymmetric, and affects the mirror image's hash.
    """
    if grey.shape == (side, side):
        return grey
    height, width = grey.shape
    means = _overlaps(height, side) @ grey.astype(np.float64) @ _overlaps(width, side).T
    return np.rint(means).astype(np.uint8)


@lru_cache(maxsize=64)
def _overlaps(length: int, side: int) -> npt.NDArray[np.float64]:
    """Return (side, length): the share of each of `length` pixels in each of `side` cells of equal width."""
    cells, pixels = np.arange(side)[:, None] * (length / side), np.arange(length)
    shared = np.minimum(cells + length / side, pixels + 1) - np.maximum(cells, pixels)
    weights: npt.NDArray[np.float64] = np.clip(shared, 0, None) * (side / length)
    return weights


def perceptual_hashes(small: Pixels) -> tuple[Hashes, Hashes]:
    """Return the 64-bit pHash of each picture and of its mirror image.

    The definition is that of `phash` in the `imagehash` package: grey, 32 x 32 (here area-averaged), two-dimensional
    DCT-II, the 8 x 8 lowest frequencies including the constant term, one bit each for "greater than the median", row by
    row, most significant bit first. The mirror image has the same coefficients with odd horizontal frequencies negated.

    Args:
        small: (N, 32, 32) uint8.

    Returns:
        Two (N,) arrays.
    """
    hashes, mirrored = np.empty(len(small), np.uint64), np.empty(len(small), np.uint64)
    step = 4096
    for low in range(0, len(small), step):
        part = slice(low, low + step)
        coefficients = _low_frequencies(small[part])
        hashes[part] = _bits(coefficients)
        mirrored[part] = _bits(coefficients * np.where(np.arange(8) % 2, -1.0, 1.0))
    return hashes, mirrored


def _low_frequencies(small: Pixels) -> npt.NDArray[np.float64]:
    """Return the 8 x 8 lowest frequencies of the DCT-II of (N, 32, 32), unnormalised as in scipy's `dct`."""
    angle = np.pi * np.arange(8)[:, None] * (2 * np.arange(HASH_SIDE) + 1) / (2 * HASH_SIDE)
    basis = 2 * np.cos(angle)
    # Rounded so that rounding noise in the zero coefficients of symmetric pictures does not set bits.
    coefficients: npt.NDArray[np.float64] = np.round(basis @ small.astype(np.float64) @ basis.T, 6)
    return coefficients


def _bits(coefficients: npt.NDArray[np.float64]) -> Hashes:
    flat = coefficients.reshape(len(coefficients), 64)
    above = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8").ravel().astype(np.uint64)


def ones(values: Hashes) -> npt.NDArray[np.uint8]:
    """Return the number of set bits in each 64-bit value."""
    if hasattr(np, "bitwise_count"):  # numpy 2
        counted: npt.NDArray[np.uint8] = np.bitwise_count(values)
        return counted
    return ones_by_table(values)


def ones_by_table(values: Hashes) -> npt.NDArray[np.uint8]:
    """`ones` for numpy < 2."""
    halves = _ONES[np.ascontiguousarray(values).view(np.uint16)]
    counted: npt.NDArray[np.uint8] = halves.reshape(*values.shape, 4).sum(axis=-1, dtype=np.uint8)
    return counted
