"""What import reports of a dataset."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class ImportSummary(Summary):
    """What `fer import --json` prints: images by split, and by reason how many were skipped.

    `nearly_black` counts images in which nothing can be seen, where there are any.
    """

    images: dict[str, int]
    emotions: list[str]
    skipped: dict[str, int]
    nearly_black: int = 0
