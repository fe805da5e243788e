"""Create images by augmentation: each new image (child) is an altered copy of an existing one (parent)."""

from __future__ import annotations

from collections.abc import Collection

from fercli.datasets.balancing.augmenter import LEAKS, Augmenter, Missing
from fercli.datasets.index import Row
from fercli.stages.balance.context import BalanceContext


def fill(context: BalanceContext) -> list[Row]:
    """Create the children that the plan asks for; return their rows.

    Raises:
        DataError: a class has no image to augment, or all children of an image equal existing images.
    """
    if context.constant:
        context.progress.log(f"augmented none of the {len(context.constant):,} constant images")
    missing = [Missing(split, emotion, need.augment, need.target) for split, emotion, need in context.plan.classes()]
    return _augmenter(context).augment(context.rows, missing)


def augment_again(context: BalanceContext, child: Row, number: int, attempt: int, digests: Collection[str]) -> str:
    """Replace a child by another one of the same parent, unlike all images of `digests`; return its digest.

    Args:
        context: The dataset being filled up.
        child: The row of the child.
        number: Number of the child.
        attempt: Number of previous replacements. The random numbers depend on number and attempt.
        digests: Digests of the existing images.

    Raises:
        DataError: all children equal existing images.
    """
    parent = next(row for row in context.rows if row.path == child.parent)
    return _augmenter(context).replace_child(parent, child, [LEAKS, number, attempt], digests)


def _augmenter(context: BalanceContext) -> Augmenter:
    config, folder = context.config, context.builder.folder
    return Augmenter(
        context.source.path, folder, folder, config.seed, config.workers, context.progress, context.constant
    )
