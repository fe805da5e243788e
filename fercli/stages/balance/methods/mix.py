"""Create a share of the missing images by augmentation, and the rest by generation."""

from __future__ import annotations

from dataclasses import replace

from fercli.datasets.index import Row
from fercli.stages.balance.context import BalanceContext
from fercli.stages.balance.methods import augment, generate

inputs = generate.inputs


def fill(context: BalanceContext) -> list[Row]:
    """Augment, then generate, as planned; return the rows of both."""
    children = augment.fill(context)
    extended = replace(context, rows=[*context.rows, *children])  # so that no generated image is a near copy of a child
    generated = generate.fill(extended)
    context.device = extended.device
    return [*children, *generated]
