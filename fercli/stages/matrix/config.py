"""Options of matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Device, InferenceBatchSize, OutOption, Overwrite, Tta


class MatrixConfig(StageConfig):
    """The inputs and options of matrix."""

    stage: ClassVar[str] = "matrix"
    kind: ClassVar[str] = "matrix"

    inputs: Annotated[
        tuple[Path, ...],
        Field(
            description="Checkpoints, runs (their best checkpoints), models of fer models --pretrained or on the hub "
            "(hf://OWNER/NAME), and packs, in any order."
        ),
        Cli(argument=True, metavar="CHECKPOINT|PACK…", in_key=False),
    ]
    out: OutOption = None
    split: Annotated[Literal["train", "validation", "test"], Field(description="Split of each pack to evaluate on")] = (
        "test"
    )
    tta: Tta = "none"
    batch_size: InferenceBatchSize = 256
    device: Device = "auto"
    overwrite: Overwrite = False
