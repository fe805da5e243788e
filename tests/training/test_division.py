"""Dividing batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fercli.distributed.group import Group
from fercli.errors import UsageError
from fercli.training.division import Division


@given(count=st.integers(1, 100), size=st.integers(1, 5), accumulate=st.integers(1, 5), mixing=st.booleans())
def test_all_parts_together_are_the_batch(count: int, size: int, accumulate: int, mixing: bool) -> None:
    divisions = [Division(Group(rank, size), accumulate, mixing) for rank in range(size)]
    parts = [part for division in divisions for part in division.own_parts(count)]
    assert len(parts) == divisions[0].parts == size * accumulate
    if divisions[0].overlaps:
        assert all(int(part[0]) == (int(part[1]) - 1) % count for part in parts if len(part) > 1)
        parts = [part[1:] for part in parts]
    assert torch.equal(torch.cat(parts), torch.arange(count))


def test_one_part_has_no_overlap() -> None:
    assert not Division(mixing=True).overlaps
    assert Division(accumulate=2, mixing=True).overlaps


@pytest.mark.parametrize(
    ("division", "message"),
    [
        (Division(Group(0, 4)), "a batch of 3 faces cannot be divided among 4 devices; set a larger batch-size"),
        (Division(accumulate=5), r"among 5 parts \(accumulate\)"),
        (Division(Group(0, 2), 2), r"among 2 devices x 2 parts \(accumulate\)"),
    ],
)
def test_every_part_needs_a_face(division: Division, message: str) -> None:
    division.check([torch.arange(4)]) if division.parts <= 4 else None
    with pytest.raises(UsageError, match=message):
        division.check([torch.arange(9), torch.arange(3)])
