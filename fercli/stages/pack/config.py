"""Options of pack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

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
    workers: Workers = None
    overwrite: Overwrite = False

    @model_validator(mode="after")
    def _check_share(self) -> Self:
        if self.soft_share != 0.5 and self.soft_targets is None:
            raise ValueError("soft-share: give the cross-validation with soft-targets too")
        return self
