"""Filling classes by both: a share by augmentation, the rest by generation."""

from __future__ import annotations

from dataclasses import replace

from fercli.datasets.index import Row
from fercli.stages.balance import augmenting
from fercli.stages.balance.generate import filling
from fercli.stages.balance.methods import Work

inputs = filling.inputs


def fill(work: Work) -> list[Row]:
    """Make the children that the plan wants, then generate what it wants besides; return the rows of both."""
    children = augmenting.fill(work)
    both = replace(work, rows=[*work.rows, *children])  # so that nothing generated is a copy of a child
    generated = filling.fill(both)
    work.device = both.device
    return [*children, *generated]
