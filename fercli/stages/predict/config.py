"""Options of predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from fercli.hub.address import is_address, parse_address
from fercli.pretrained import DEFAULT, find_pretrained, names_checkpoint
from fercli.stages.base import Cli
from fercli.stages.model_options import OF_WEIGHTS, PublishedOptions
from fercli.stages.options import (
    CHECKPOINT_HELP,
    Detector,
    Device,
    FrameStep,
    InferenceBatchSize,
    InferenceDevices,
    SearchSize,
    Strict,
    Tta,
    Turns,
    Workers,
    path_text,
)


def _not_empty(path: Path | None) -> Path | None:
    if path == Path():
        raise ValueError("expected a path, got '' or '.'")
    return path


class PredictConfig(PublishedOptions):
    """Predict the emotions of faces in images and videos."""

    stage: ClassVar[str] = "predict"
    kind: ClassVar[str] = ""  # the output is a CSV for users, not an artifact

    checkpoint: Annotated[
        Path,
        Field(description=f"{CHECKPOINT_HELP} May be omitted."),
        Cli(argument=True, metavar="CHECKPOINT"),
    ] = Path(DEFAULT)
    source: Annotated[
        str,
        PlainValidator(path_text),
        Field(
            description="A photograph, a video, a folder of them, a dataset or pack, webcam or webcam:N.",
        ),
        Cli(argument=True, metavar="PHOTO|FOLDER|VIDEO|webcam"),
    ] = ""
    csv: Annotated[
        Path | None,
        Field(description="CSV file to write, one row per face and frame."),
        AfterValidator(_not_empty),
        Cli(metavar="OUT.csv", in_key=False),
    ] = None
    draw: Annotated[
        Path | None,
        Field(description="Image, folder or video to write, with boxes and emotions drawn in."),
        AfterValidator(_not_empty),
        Cli(metavar="OUT", in_key=False),
    ] = None
    window: Annotated[
        bool,
        Field(description="Show a webcam or a film in a window while it is predicted; q ends."),
        Cli(in_key=False),
    ] = False
    timeline: Annotated[
        Path | None,
        Field(
            description="Page to write of a film's emotions over time, by person; a .png and a .csv are written beside "
            "it."
        ),
        AfterValidator(_not_empty),
        Cli(metavar="OUT.html", in_key=False),
    ] = None
    smooth: Annotated[
        float,
        Field(ge=0, le=3600, description="Window of the moving mean of --timeline, seconds; 0 for none."),
        Cli(metavar="SECONDS", in_key=False),
    ] = 1.0
    detector: Detector = None
    weights: Annotated[
        Path | None,
        Field(
            description="With --model: published weights of that model to use instead of a checkpoint, a .safetensors "
            "or .pt file, or an address on the hub, hf://OWNER/NAME; else the detector's weights."
        ),
        Cli(metavar="FILE", in_key=False),
    ] = None
    detector_weights: Annotated[
        Path | None,
        Field(description="Weights file of the detector (default: the file from fer weights get)."),
        Cli(metavar="FILE", in_key=False),
    ] = None
    search_size: SearchSize = None
    turns: Turns = False
    faces: Annotated[
        Literal["auto", "all", "largest", "crop"],
        Field(
            description="Which faces of an image to use; crop treats the whole image as a face crop, which auto does "
            "for datasets and packs"
        ),
    ] = "auto"
    split: Annotated[
        Literal["all", "train", "validation", "test", "unlabelled"],
        Field(description="Split of a dataset, a pack or synthetic photographs"),
    ] = "all"
    tta: Tta = "none"
    every: FrameStep = "1f"
    frames: Annotated[int | None, Field(ge=1, description="Stop after this many frames.")] = None
    strict: Strict = False
    batch_size: InferenceBatchSize = 256
    device: Device = "auto"
    devices: InferenceDevices = "1"
    workers: Workers = None
    overwrite: Annotated[
        bool,
        Field(description="Replace existing --csv, --draw and --timeline output of fer predict."),
        Cli(in_key=False),
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _without_checkpoint(cls, values: dict[str, Any]) -> dict[str, Any]:
        """With one argument only, or published weights in place of the checkpoint, it is the source."""
        if values.get("weights") is not None and values.get("model") is not None:
            if values.get("checkpoint") is None:
                return values
            if values.get("source") not in (None, ""):
                raise ValueError("weights: of a model, replace the checkpoint; give only what to predict")
            return {**values, "checkpoint": Path(DEFAULT), "source": values["checkpoint"]}
        if values.get("source") is not None or values.get("checkpoint") is None:
            return values
        alone = Path(values["checkpoint"])
        if names_checkpoint(alone) and not (find_pretrained(alone) and alone.exists()):
            return values
        return {**values, "checkpoint": Path(DEFAULT), "source": values["checkpoint"]}

    @property
    def detector_file(self) -> Path | None:
        """The weights file of the detector, if one is given."""
        return self.detector_weights if self.model is not None else self.detector_weights or self.weights

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.model is not None:
            if self.weights is None:
                raise ValueError("model: requires --weights FILE of the model; a checkpoint defines its own")
            return self
        if self.weights is not None and is_address(self.weights):
            raise ValueError(f"weights: specify the architecture of {parse_address(self.weights)} with --model")
        if given := [name for name in OF_WEIGHTS if getattr(self, name)]:
            raise ValueError(f"{given[0].replace('_', '-')}: requires --model and its --weights")
        if self.weights is not None and self.detector_weights is not None:
            raise ValueError("weights: without --model these are the detector's, as --detector-weights; keep one")
        return self

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if self.checkpoint.is_file() and not names_checkpoint(self.checkpoint):
            raise ValueError(
                f"checkpoint: {self.checkpoint} is a file, not a model; predict takes one photograph, video or folder, "
                "so put several into a folder"
            )
        if not self.source:
            raise ValueError(
                "source: name what to predict: a photograph, a video, a folder of them, a dataset, a pack or webcam"
            )
        return self
