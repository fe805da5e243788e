"""Options of evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fercli.stages.base import Cli, Device, Out, Overwrite, StageConfig


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
    split: Annotated[Literal["train", "validation", "test"], Field(description="Split to measure on.")] = "test"
    tta: Annotated[
        Literal["none", "flip", "ten-crop"],
        Field(description="Views of a face whose predictions are averaged."),
    ] = "none"
    without_leaks: Annotated[
        bool, Field(description="Give the figures also without images whose pixels the run was trained on.")
    ] = False
    batch_size: Annotated[
        int, Field(ge=1, le=65_536, description="Faces at a time: speed and memory, not results."), Cli(counts=False)
    ] = 256
    device: Device = "auto"
    overwrite: Overwrite = False
