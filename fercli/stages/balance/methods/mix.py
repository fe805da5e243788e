"""Filling classes by both: a share by augmentation, the rest by generation."""

from __future__ import annotations

from dataclasses import replace

from fercli.datasets.index import Row
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.methods import augment, generate

inputs = generate.inputs


def fill(work: BalanceContext) -> list[Row]:
    """Make the children that the plan wants, then generate what it wants besides; return the rows of both."""
    children = augment.fill(work)
    both = replace(work, rows=[*work.rows, *children])  # so that nothing generated is a copy of a child
    generated = generate.fill(both)
    work.device = both.device
    return [*children, *generated]
