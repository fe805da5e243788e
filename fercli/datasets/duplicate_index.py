"""Detecting whether a new picture is an exact or near copy of any earlier one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fercli.datasets.duplicates import MAX_BITS, MIN_CORRELATION, correlations
from fercli.datasets.perceptual import Hashes, ones, perceptual_hashes, shrink
from fercli.images import Pixels, pixel_digest

Fingerprint = tuple[str, int, int]
"""Pixel digest, perceptual hash, and perceptual hash of the mirror image."""


def fingerprint(pixels: Pixels) -> Fingerprint:
    """Return the fingerprint of a picture."""
    plain, mirrored = perceptual_hashes(shrink(pixels)[0][None])
    return pixel_digest(pixels), int(plain[0]), int(mirrored[0])


class DuplicateIndex:
    """Digests and hashes of the pictures added so far; pixels are re-read only if two hashes are close.

    Copies are defined as in `fercli.datasets.duplicates`: equal pixels, or hashes (also of the mirror image) at most 10
    bits apart and a correlation of at least 0.97.

    Args:
        read: Returns the pixels of an added picture by name.
    """

    def __init__(self, read: Callable[[str], Pixels]) -> None:
        self._read = read
        self._names: list[str] = []
        self._by_digest: dict[str, str] = {}
        self._hashes: Hashes = np.empty(1024, np.uint64)
        self._mirrored: Hashes = np.empty(1024, np.uint64)

    def add(self, name: str, picture: Fingerprint) -> None:
        """Add a picture."""
        count = len(self._names)
        if count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
            self._mirrored = np.concatenate([self._mirrored, np.empty_like(self._mirrored)])
        digest, self._hashes[count], self._mirrored[count] = picture
        self._names.append(name)
        self._by_digest.setdefault(digest, name)

    def copy_of(self, pixels: Pixels, picture: Fingerprint) -> str | None:
        """Return the name of an earlier picture that this one is a copy of, or None."""
        if picture[0] in self._by_digest:
            return self._by_digest[picture[0]]
        own = shrink(pixels)[1]
        if own.min() == own.max():  # without contrast there is no correlation
            return None
        count, value = len(self._names), np.uint64(picture[1])
        for mirrored, others in ((False, self._hashes), (True, self._mirrored)):
            for number in np.flatnonzero(ones(others[:count] ^ value) <= MAX_BITS).tolist():
                other = shrink(self._read(self._names[number]))[1]
                if other.min() == other.max():
                    continue
                both = np.stack([own, other])
                if correlations(both, np.array([0]), np.array([1]), mirrored=mirrored)[0] >= MIN_CORRELATION:
                    return self._names[number]
        return None
