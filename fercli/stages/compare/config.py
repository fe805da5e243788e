"""Options of compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PlainValidator, field_validator

from fercli.metrics.bootstrap import RESAMPLES
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Device, InferenceBatchSize, OutOption, Overwrite, Seed, path_text_or_none


class CompareConfig(StageConfig):
    """The inputs and options of compare."""

    stage: ClassVar[str] = "compare"
    kind: ClassVar[str] = "comparison"

    sides: Annotated[
        tuple[Path, ...],
        Field(
            description="Two or more evaluations, runs or cross-validations; a quoted pattern such as 'ev-seed-?' "
            "is one group, of the seeds of a recipe."
        ),
        Cli(argument=True, metavar="SIDE…", in_key=False),
    ]
    out: OutOption = None
    reference: Annotated[bool, Field(description="Compare all with the first only, instead of every pair.")] = False
    split: Annotated[
        Literal["validation", "test"] | None,
        Field(
            description="Of runs: the split of their pack on which their best checkpoints are compared (default: "
            "validation)."
        ),
    ] = None
    by: Annotated[
        str | None,
        PlainValidator(path_text_or_none),
        Field(
            description="Also compare within groups of images: a column of the dataset's index, or a CSV file with "
            "columns path and group."
        ),
        Cli(metavar="COLUMN", path=True),
    ] = None
    resamples: Annotated[int, Field(ge=100, le=1_000_000, description="Bootstrap resamples.")] = RESAMPLES
    seed: Seed = 0
    batch_size: InferenceBatchSize = 256
    device: Device = "auto"
    overwrite: Overwrite = False

    @field_validator("sides")
    @classmethod
    def _check_number(cls, sides: tuple[Path, ...]) -> tuple[Path, ...]:
        if len(sides) < 2:
            raise ValueError(
                "a comparison needs at least two sides; name another, or quote each pattern so that the shell leaves it"
            )
        return sides
