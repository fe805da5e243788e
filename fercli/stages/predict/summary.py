"""Summary of the predict stage."""

from __future__ import annotations

from pydantic import Field

from fercli.artifacts.summary import Summary


class PredictionSummary(Summary):
    """The output of `fer predict --json`.

    `passed_over` counts files that are neither images nor videos, `emotions` the faces by predicted emotion; `notes`
    are caveats.
    """

    images: int = 0
    faces: int = 0
    without_face: int = 0
    unreadable: int = 0
    passed_over: int = 0
    images_per_second: float = 0.0
    emotions: dict[str, int] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
