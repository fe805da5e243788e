"""The options of `fer clean`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from fercli.stages.base import Cli, Out, Overwrite, StageConfig, Workers


class CleanConfig(StageConfig):
    """Find equal and near-equal images, and take out the copies that leak from one split into another."""

    stage: ClassVar[str] = "clean"
    kind: ClassVar[str] = "dataset"

    dataset: Annotated[
        Path | None,
        Field(description="The data set to examine (default: the newest under artifacts/)."),
        Cli(argument=True, metavar="DATASET", counts=False),
    ] = None
    out: Out = None
    near: Annotated[
        bool, Field(description="Take out near copies too (they are always reported); look at the report first.")
    ] = False
    constant: Annotated[bool, Field(description="Take out images of one constant value too.")] = False
    report_only: Annotated[bool, Field(description="Write the report alone, and no data set.")] = False
    workers: Workers = None
    overwrite: Overwrite = False
