"""Options of evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from fercli.stages.base import Cli, Device, FacesAtATime, Out, Overwrite, Split, StageConfig, Tta


class EvaluateConfig(StageConfig):
    """What evaluate reads, and how it predicts."""

    stage: ClassVar[str] = "evaluate"
    kind: ClassVar[str] = "evaluation"

    checkpoint: Annotated[
        Path | None,
        Field(description="A checkpoint, or a run (its best checkpoint)."),
        Cli(argument=True, metavar="CHECKPOINT", counts=False),
    ] = None
    pack: Annotated[
        Path | None,
        Field(description="A pack (default: the one the checkpoint was trained on)."),
        Cli(argument=True, metavar="PACK", counts=False),
    ] = None
    out: Out = None
    split: Split = "test"
    tta: Tta = "none"
    without_leaks: Annotated[
        bool, Field(description="Give the figures also without images whose pixels the run was trained on.")
    ] = False
    batch_size: FacesAtATime = 256
    device: Device = "auto"
    overwrite: Overwrite = False
