"""The summary of synthetic photographs."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class PhotographsSummary(Summary):
    """The output of `fer sample --json`: number of photographs by split, number of faces, and the emotions."""

    images: dict[str, int]
    faces: int
    emotions: list[str]
