"""Summary of the import stage."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class ImportSummary(Summary):
    """The output of `fer import --json`: images by split, and skipped images by reason.

    `nearly_black` counts images that are too dark to see anything, if any, and `affect` those with
    valence and arousal.
    """

    images: dict[str, int]
    emotions: list[str]
    skipped: dict[str, int]
    nearly_black: int = 0
    affect: int = 0
