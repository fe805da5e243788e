"""Options of evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from fercli.datasets.index import COLUMNS
from fercli.evaluation.corruptions import CORRUPTIONS, parse_names
from fercli.stages.base import Accepts, Cli
from fercli.stages.model_options import OF_WEIGHTS, PublishedOptions
from fercli.stages.options import (
    CHECKPOINT_HELP,
    Device,
    InferenceBatchSize,
    InferenceDevices,
    Out,
    Overwrite,
    Split,
    Track,
    Tta,
    path_text_or_none,
)


def _corruptions(value: Any) -> Any:
    """Return the names of corruptions as one string, `blur,noise`, without repeats and in a fixed order."""
    if value is None:
        return None
    return ",".join(parse_names(value if isinstance(value, str) else ",".join(map(str, value))))


class EvaluateConfig(PublishedOptions):
    """The inputs and options of evaluate."""

    stage: ClassVar[str] = "evaluate"
    kind: ClassVar[str] = "evaluation"

    checkpoint: Annotated[
        Path | None,
        Field(description=CHECKPOINT_HELP),
        Cli(argument=True, metavar="CHECKPOINT", in_key=False),
    ] = None
    pack: Annotated[
        Path | None,
        Field(description="A pack (default: the one the checkpoint was trained on)."),
        Cli(argument=True, metavar="PACK", in_key=False),
    ] = None
    out: Out = None
    weights: Annotated[
        Path | None,
        Field(
            description="Published weights to evaluate instead of a checkpoint: a .safetensors or .pt file, or an "
            "address on the hub, hf://OWNER/NAME."
        ),
        Cli(metavar="FILE", in_key=False),
    ] = None
    split: Split = "test"
    tta: Tta = "none"
    without_leaks: Annotated[
        bool,
        Field(
            description="Also report the metrics without images whose pixels the run was trained on; with --split "
            "all, exclude them."
        ),
    ] = False
    by: Annotated[
        str | None,
        PlainValidator(path_text_or_none, json_schema_input_type=str | None),
        Field(
            description="Also report accuracy and recalls by group, with the largest gap and its permutation test: a "
            "column of the dataset's index (subject, origin, …) or a table with the columns path,group."
        ),
        Cli(metavar="COLUMN|FILE.csv", added=True, path=True),
    ] = None
    corrupt: Annotated[
        str | None,
        BeforeValidator(_corruptions, json_schema_input_type=str | None),
        Accepts(str | Sequence[str] | None),
        Field(
            description="Also evaluate on corrupted copies of the split, at five strengths: all, or some of "
            f"{', '.join(CORRUPTIONS)}, comma-separated."
        ),
        Cli(metavar="NAMES", added=True),
    ] = None
    track: Track = ()
    batch_size: InferenceBatchSize = 256
    device: Device = "auto"
    devices: InferenceDevices = "1"
    overwrite: Overwrite = False

    def options(self) -> dict[str, Any]:
        """Return the options that are part of the key; a table of groups is an input, identified by its contents."""
        found = super().options()
        if "by" in found and self.by not in COLUMNS:
            del found["by"]
        return found

    @model_validator(mode="before")
    @classmethod
    def _without_checkpoint(cls, values: dict[str, Any]) -> dict[str, Any]:
        """With `weights` there is no checkpoint: the first argument is the pack."""
        if values.get("weights") is None or values.get("checkpoint") is None:
            return values
        if values.get("out") is not None:
            raise ValueError("weights: replace the checkpoint; give only a pack and an output folder")
        return {**values, "checkpoint": None, "pack": values["checkpoint"], "out": values.get("pack")}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights is None:
            if given := [name for name in OF_WEIGHTS if getattr(self, name)]:
                raise ValueError(f"{given[0].replace('_', '-')}: requires --weights FILE; a checkpoint defines its own")
            return self
        if self.model is None:
            raise ValueError("weights: specify their architecture with --model; fer models lists all")
        if self.without_leaks:
            raise ValueError("without-leaks: the training images of published weights are unknown")
        return self
