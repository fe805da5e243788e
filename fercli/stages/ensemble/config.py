"""Options of ensemble."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Device, InferenceBatchSize, OutOption, Overwrite, Split, Tta

Method = Literal["mean", "weighted", "vote"]


class EnsembleConfig(StageConfig):
    """The inputs and options of ensemble."""

    stage: ClassVar[str] = "ensemble"
    kind: ClassVar[str] = "evaluation"

    checkpoints: Annotated[
        tuple[Path, ...],
        Field(
            description="Two or more checkpoints, runs (their best checkpoints), models of fer models --pretrained, or "
            "models on the hub, hf://OWNER/NAME."
        ),
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
            description="How predictions are combined: the mean of the probabilities, their mean with weights fitted "
            "on validation, or a vote."
        ),
    ] = "mean"
    select: Annotated[bool, Field(description="Select the members by validation accuracy, adding one at a time.")] = (
        False
    )
    split: Split = "test"
    tta: Tta = "none"
    without_leaks: Annotated[
        bool,
        Field(
            description="Also report the metrics without images whose pixels any member was trained on; with "
            "--split all, exclude them."
        ),
    ] = False
    batch_size: InferenceBatchSize = 256
    device: Device = "auto"
    overwrite: Overwrite = False

    @field_validator("checkpoints")
    @classmethod
    def _check_number(cls, checkpoints: tuple[Path, ...]) -> tuple[Path, ...]:
        if len(checkpoints) < 2:
            raise ValueError("an ensemble needs at least two members; add another (fer evaluate evaluates one)")
        return checkpoints

    @model_validator(mode="after")
    def _check_split(self) -> EnsembleConfig:
        if self.split in ("validation", "all") and self.chooses:
            raise ValueError("split: weights and members are selected on validation; evaluate them on test")
        return self

    @property
    def chooses(self) -> bool:
        """Whether anything is selected on validation."""
        return self.select or self.method == "weighted"
