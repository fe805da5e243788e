"""Options of pack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fercli.packs.storage import MAX_SHARDS, Codec
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Out, Overwrite, Workers


class PackConfig(StageConfig):
    """Write a dataset as a pack."""

    stage: ClassVar[str] = "pack"
    kind: ClassVar[str] = "pack"

    dataset: Annotated[
        Path | None, Field(description="A dataset."), Cli(argument=True, metavar="DATASET", in_key=False)
    ] = None
    out: Out = None
    size: Annotated[
        int | None, Field(ge=8, le=1024, description="Height and width in pixels (default: the images' own).")
    ] = None
    color: Annotated[Literal["gray", "rgb"] | None, Field(description="Colour; default: gray if all images are")] = None
    allow_leaks: Annotated[
        bool, Field(description="Pack even if an image is in more than one split (for benchmarks as published).")
    ] = False
    fold: Annotated[
        int | None,
        Field(
            ge=1,
            description="Hold out this fold (from import --folds): as validation if the dataset has a published test "
            "split, otherwise as test, with the next fold as validation; all other folds are train.",
        ),
        Cli(metavar="K"),
    ] = None
    soft_targets: Annotated[
        Path | None,
        Field(
            description="Mix the out-of-fold predictions of this cross-validation (of train images alone: fer "
            "crossvalidate --splits train) into the training targets."
        ),
        Cli(metavar="CROSSVALIDATION", in_key=False),
    ] = None
    soft_share: Annotated[
        float, Field(ge=0, lt=1, description="Share of the label in these targets."), Cli(added=True)
    ] = 0.5
    codec: Annotated[
        Codec,
        Field(
            description="How images are stored: raw pixels, or jpeg, which is lossy and a fraction of the size, and "
            "decoded whenever it is read."
        ),
        Cli(added=True),
    ] = "raw"
    quality: Annotated[int, Field(ge=1, le=100, description="Quality of JPEG."), Cli(added=True)] = 95
    shards: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_SHARDS,
            description="Number of files for the images, which are then in shuffled order; 0: none but faces.h5 "
            "(default: none up to 4 GB of pixels, else one per GB).",
        ),
        Cli(added=True),
    ] = None
    workers: Workers = None
    overwrite: Overwrite = False

    @model_validator(mode="after")
    def _check_share(self) -> Self:
        if self.soft_share != 0.5 and self.soft_targets is None:
            raise ValueError("soft-share: give the cross-validation with soft-targets too")
        return self

    @model_validator(mode="after")
    def _check_codec(self) -> Self:
        if self.codec == "raw" and self.quality != 95:
            raise ValueError("quality: is that of JPEG; set codec to jpeg too")
        if self.codec == "jpeg" and self.shards == 0:
            raise ValueError("shards: JPEG is stored in shards; set 1 or more, or leave it out")
        return self
