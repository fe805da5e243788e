"""Options of predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PlainValidator

from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import (
    Detector,
    DetectorWeights,
    Device,
    FrameStep,
    InferenceBatchSize,
    SearchSize,
    Strict,
    Tta,
    Turns,
    Workers,
    path_text,
)


class PredictConfig(StageConfig):
    """What predict reads, how it finds faces, and where its rows and pictures go."""

    stage: ClassVar[str] = "predict"
    kind: ClassVar[str] = ""  # a table for people and spreadsheets, not an artifact that another stage reads

    checkpoint: Annotated[
        Path,
        Field(description="A checkpoint, or a run (its best checkpoint)."),
        Cli(argument=True, metavar="CHECKPOINT"),
    ]
    source: Annotated[
        str,
        PlainValidator(path_text),
        Field(
            description="A photograph, a video, a folder of them, a dataset or pack, webcam or webcam:N.",
        ),
        Cli(argument=True, metavar="PHOTO|FOLDER|VIDEO|webcam"),
    ]
    csv: Annotated[
        Path | None,
        Field(description="CSV file to write, one row per face and frame."),
        Cli(metavar="OUT.csv", in_key=False),
    ] = None
    draw: Annotated[
        Path | None,
        Field(description="Image, folder or video to write, with faces and emotions drawn in."),
        Cli(metavar="OUT", in_key=False),
    ] = None
    detector: Detector = None
    weights: DetectorWeights = None
    search_size: SearchSize = None
    turns: Turns = False
    faces: Annotated[
        Literal["auto", "all", "largest", "crop"],
        Field(
            description="Which faces of a picture; crop takes the picture for a face cut out already, as auto does in "
            "datasets and packs"
        ),
    ] = "auto"
    split: Annotated[
        Literal["all", "train", "validation", "test", "unlabelled"],
        Field(description="Split of a dataset, a pack or drawn photographs"),
    ] = "all"
    tta: Tta = "none"
    every: FrameStep = "1f"
    frames: Annotated[int | None, Field(ge=1, description="Stop after this many frames.")] = None
    strict: Strict = False
    batch_size: InferenceBatchSize = 256
    device: Device = "auto"
    workers: Workers = None
    overwrite: Annotated[
        bool, Field(description="Replace existing output of fer predict at --csv and --draw."), Cli(in_key=False)
    ] = False
