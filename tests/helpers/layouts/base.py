"""What a small dataset, laid out as it was published, tells the tests."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.datasets import encoded, noise


@dataclass
class Published:
    """A small dataset, laid out as it was published.

    Attributes:
        source: What a person hands to `fer import`.
        expected: Images by (split, emotion), the bad ones left out; the split is empty where the source has none.
        bad: Items that must be skipped, by reason.
        beside: Files that no item stands for, and that import must tell of, by reason.
    """

    source: Path
    expected: dict[tuple[str, str], int]
    bad: dict[str, int] = field(default_factory=dict)
    beside: dict[str, int] = field(default_factory=dict)


BROKEN = encoded(noise(1, 48, 48))[:700]
"""A PNG cut off in the middle."""
