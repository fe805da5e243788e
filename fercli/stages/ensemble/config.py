"""Options of ensemble."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Device, InferenceBatchSize, OutOption, Overwrite, Split, Tta

Method = Literal["mean", "weighted", "vote"]


class EnsembleConfig(StageConfig):
    """What ensemble reads, and how the members come to one prediction."""

    stage: ClassVar[str] = "ensemble"
    kind: ClassVar[str] = "evaluation"

    checkpoints: Annotated[
        tuple[Path, ...],
        Field(description="Checkpoints, or runs (their best checkpoints): two or more."),
        Cli(argument=True, metavar="CHECKPOINT…", in_key=False),
    ]
    pack: Annotated[
        Path | None,
        Field(description="A pack (default: the one the first member was trained on)."),
        Cli(metavar="PACK", in_key=False),
    ] = None
    out: OutOption = None
    method: Annotated[
        Method,
        Field(
            description="How predictions are joined: the mean of the probabilities, their mean by weights fitted on "
            "validation, or a vote."
        ),
    ] = "mean"
    select: Annotated[bool, Field(description="Choose the members by validation accuracy, adding one at a time.")] = (
        False
    )
    split: Split = "test"
    tta: Tta = "none"
    without_leaks: Annotated[
        bool,
        Field(
            description="Give the figures also without images whose pixels any member was trained on; with --split "
            "all, leave them out."
        ),
    ] = False
    batch_size: InferenceBatchSize = 256
    device: Device = "auto"
    overwrite: Overwrite = False

    @field_validator("checkpoints")
    @classmethod
    def _check_number(cls, checkpoints: tuple[Path, ...]) -> tuple[Path, ...]:
        if len(checkpoints) < 2:
            raise ValueError("an ensemble has two members or more; name another (fer evaluate measures one)")
        return checkpoints

    @model_validator(mode="after")
    def _check_split(self) -> EnsembleConfig:
        if self.split in ("validation", "all") and self.chooses:
            raise ValueError("split: validation chooses the weights and members, so it cannot measure them; take test")
        return self

    @property
    def chooses(self) -> bool:
        """Whether anything is chosen on validation."""
        return self.select or self.method == "weighted"
