"""A small dataset in its published layout, with the expected result of importing it."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.datasets import encoded, noise


@dataclass
class Published:
    """A small dataset in its published layout.

    Attributes:
        source: The source for `fer import`.
        expected: Number of good images by (split, emotion); the split is empty if the source has none.
        bad: Number of items to be skipped, by reason.
        beside: Number of files that are not items, and must be reported, by reason.
    """

    source: Path
    expected: dict[tuple[str, str], int]
    bad: dict[str, int] = field(default_factory=dict)
    beside: dict[str, int] = field(default_factory=dict)


BROKEN = encoded(noise(1, 48, 48))[:700]
"""A truncated PNG."""
