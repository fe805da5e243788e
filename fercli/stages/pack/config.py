"""Options of pack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

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
    workers: Workers = None
    overwrite: Overwrite = False
