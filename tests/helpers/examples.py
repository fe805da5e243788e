"""The documented examples of the Python API, at their own size and at one that takes seconds."""

from __future__ import annotations

import pytest

EXAMPLE_SIZES = [
    pytest.param({"images=300": "images=70", "epochs=12": "epochs=1"}, 0.0, id="small", marks=pytest.mark.slow),
    pytest.param({}, 0.8, id="full", marks=pytest.mark.long),
]
"""What to replace in an example, and the least accuracy that it then has to reach."""


def resized(source: str, changes: dict[str, str]) -> str:
    """Replace arguments in an example's source; each has to occur."""
    for old, new in changes.items():
        assert old in source
        source = source.replace(old, new)
    return source
