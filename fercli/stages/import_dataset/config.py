"""Options of import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from fercli.stages.base import Cli, Out, Overwrite, Seed, StageConfig, Workers


class ImportConfig(StageConfig):
    """What import reads, and how."""

    stage: ClassVar[str] = "import"
    kind: ClassVar[str] = "dataset"

    source: Annotated[
        Path,
        Field(description="A published data set's file or folder, or a folder of pictures by emotion."),
        Cli(argument=True, metavar="SOURCE", counts=False),
    ]
    out: Out = None
    format: Annotated[
        str | None,
        Field(description="Layout of SOURCE: fer2013-csv, fer2013-folders, folders or emotions (default: by looking)."),
    ] = None
    strict: Annotated[bool, Field(description="Stop at the first bad image instead of skipping it."), Cli()] = False
    seed: Seed = 0
    workers: Workers = None
    overwrite: Overwrite = False
