"""What was measured here, beside what the papers claim. Imported without torch."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Measured(BaseModel):
    """An accuracy that was measured with fercli.

    Attributes:
        model: The model.
        dataset: The dataset, as claims name it.
        split: The split that was read once, after all choices.
        accuracy: Percent.
        interval: Of the accuracy, 95 %, percent: low and high.
        macro_f1: In 0..1; None if it was not recorded.
        n: Number of test images.
        seeds: Number of runs.
        protocol: Training data, recipe, selection and test-time augmentation.
        command: What to run.
        digest: Digest of the run; empty if it was not recorded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    dataset: str
    split: str
    accuracy: Annotated[float, Field(ge=0, le=100)]
    interval: tuple[float, float]
    macro_f1: float | None = None
    n: Annotated[int, Field(ge=1)]
    seeds: Annotated[int, Field(ge=1)]
    protocol: str
    command: str
    digest: str = ""


@cache
def read_measured() -> tuple[Measured, ...]:
    """Return all figures, in the order of the file."""
    text = resources.files("fercli.recipes.measured").joinpath("figures.toml").read_text("utf-8")
    return tuple(Measured.model_validate(entry) for entry in tomllib.loads(text)["measured"])


def measured_of(model: str) -> list[Measured]:
    """Return the figures of a model."""
    return [one for one in read_measured() if one.model == model]
