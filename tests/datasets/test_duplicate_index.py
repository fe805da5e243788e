"""Copies of earlier pictures: equal, brighter, mirrored; and distinct pictures."""

import numpy as np
import pytest

from fercli.datasets.duplicate_index import DuplicateIndex, fingerprint
from fercli.images import Pixels
from tests.helpers.datasets import face, noise


@pytest.mark.slow
def test_copies_are_recognised() -> None:
    known: dict[str, Pixels] = {str(k): face(k) for k in range(1500)}
    known["plain"] = np.full((48, 48), 3, np.uint8)
    index = DuplicateIndex(known.__getitem__)
    for name, pixels in known.items():
        index.add(name, fingerprint(pixels))

    def copy_of(pixels: Pixels) -> str | None:
        return index.copy_of(pixels, fingerprint(pixels))

    assert copy_of(face(1234)) == "1234"
    assert copy_of(face(7) // 2 + 30) == "7"
    assert copy_of(face(1400)[:, ::-1].copy()) == "1400"
    assert copy_of(face(9, 96)) == "9"
    assert copy_of(known["plain"]) == "plain"
    assert copy_of(known["plain"] + 1) is None
    assert copy_of(face(5000)) is None
    assert copy_of(noise(1, 48, 48)) is None
    assert DuplicateIndex({}.__getitem__).copy_of(face(1), fingerprint(face(1))) is None
