"""The two halves of a split."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fercli.packs.halves import first_half


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(0, 2**32 - 1))
def test_halves_are_even_and_independent_of_the_order(given_labels: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.array(given_labels, np.int64)
    digests = generator.integers(0, 256, (len(labels), 32)).astype(np.uint8)
    first = first_half(labels, digests)
    assert abs(2 * int(first.sum()) - len(labels)) <= 1
    for emotion in range(7):
        own = labels == emotion
        assert abs(int((first & own).sum()) - int((~first & own).sum())) <= 1
    order = generator.permutation(len(labels))
    np.testing.assert_array_equal(first_half(labels[order], digests[order]), first[order])
