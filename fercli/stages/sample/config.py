"""The options of `fer sample`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from fercli.datasets.index import SPLITS
from fercli.emotions import EMOTIONS
from fercli.stages.base import StageConfig
from fercli.stages.options import Out, Overwrite, Seed, Workers

MIN_IMAGES = len(EMOTIONS) * len(SPLITS)
"""One photograph per emotion and split."""


class SampleConfig(StageConfig):
    """Render photographs with faces, split 80/10/10 within each emotion."""

    stage: ClassVar[str] = "sample"
    kind: ClassVar[str] = "photographs"

    out: Out = None
    images: Annotated[
        int,
        Field(ge=MIN_IMAGES, le=1_000_000, description="Total number of photographs, with one to three faces each."),
    ] = 700
    seed: Seed = 0
    workers: Workers = None
    overwrite: Overwrite = False
