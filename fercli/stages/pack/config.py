"""Options of pack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Out, Overwrite, Workers


class PackConfig(StageConfig):
    """What pack reads, and how it writes it."""

    stage: ClassVar[str] = "pack"
    kind: ClassVar[str] = "pack"

    dataset: Annotated[
        Path | None, Field(description="A dataset."), Cli(argument=True, metavar="DATASET", in_key=False)
    ] = None
    out: Out = None
    size: Annotated[
        int | None, Field(ge=8, le=1024, description="Height and width in pixels (default: the images' own).")
    ] = None
    color: Annotated[
        Literal["gray", "rgb"] | None, Field(description="Colour; by default gray where every image is")
    ] = None
    allow_leaks: Annotated[
        bool, Field(description="Pack even though pictures stand in two splits (a benchmark as published).")
    ] = False
    fold: Annotated[
        int | None,
        Field(
            ge=1,
            description="Hold out this fold of those that import --folds cut: as validation where the dataset has a "
            "published test split, else as test, and the next one as validation; all others are train.",
        ),
        Cli(metavar="K"),
    ] = None
    workers: Workers = None
    overwrite: Overwrite = False
