"""Options of export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fercli.exported import Precision
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import CHECKPOINT_HELP, DetectorWeights, Out, Overwrite


class ExportConfig(StageConfig):
    """Options of export."""

    stage: ClassVar[str] = "export"
    kind: ClassVar[str] = "export"

    checkpoint: Annotated[
        Path | None, Field(description=CHECKPOINT_HELP), Cli(argument=True, metavar="CHECKPOINT", in_key=False)
    ] = None
    out: Out = None
    format: Annotated[
        Literal["onnx", "torch"],
        Field(description="onnx runs in onnxruntime, in browsers and on phones; torch is a program of torch.export"),
    ] = "onnx"
    precision: Annotated[
        Precision,
        Field(description="Precision of the weights, float32 for torch; with int8 the network also computes in it"),
    ] = "float32"
    pack: Annotated[
        Path | None,
        Field(
            description="A pack whose validation faces are used to compare the exported model with the checkpoint "
            "(default: drawn faces), and for int8 to calibrate it."
        ),
        Cli(metavar="PACK", in_key=False),
    ] = None
    tolerance: Annotated[
        float,
        Field(ge=0, le=1, description="int8: the accuracy that may be lost on validation, as a share."),
    ] = 0.01
    with_detector: Annotated[
        bool,
        Field(description="Also write photograph.onnx, which takes a photograph and finds its faces itself, by YuNet."),
        Cli(added=True),
    ] = False
    weights: DetectorWeights = None
    overwrite: Overwrite = False

    @model_validator(mode="after")
    def _check_precision(self) -> Self:
        if self.precision == "int8" and self.pack is None:
            raise ValueError("pack: int8 is calibrated on validation faces; give a pack with --pack")
        if self.format != "onnx" and self.precision != "float32":
            raise ValueError(f"precision: {self.precision} is for the format onnx only")
        if self.with_detector and self.format != "onnx":
            raise ValueError("with-detector: is for the format onnx only")
        return self
