"""What sample reports of the photographs it draws."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class PhotographsSummary(Summary):
    """What `fer sample --json` prints: photographs by split, the faces in them, and the emotions."""

    images: dict[str, int]
    faces: int
    emotions: list[str]
