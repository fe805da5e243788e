"""Options of predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fercli.faces.detectors import DEFAULT_HELP, NAMES_HELP
from fercli.stages.base import Cli, Device, SearchSize, StageConfig, Turns, Workers


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
        Field(min_length=1, description="A photograph, a folder of them, a video, webcam or webcam:N."),
        Cli(argument=True, metavar="PHOTO|FOLDER|VIDEO|webcam"),
    ]
    csv: Annotated[
        Path | None, Field(description="Write one row a face and frame here."), Cli(metavar="OUT.csv", counts=False)
    ] = None
    draw: Annotated[
        Path | None,
        Field(description="Write the picture, the folder of pictures or the video with faces and emotions drawn."),
        Cli(metavar="OUT", counts=False),
    ] = None
    detector: Annotated[
        str | None, Field(description=f"What finds the faces: {NAMES_HELP} {DEFAULT_HELP}."), Cli(metavar="NAME")
    ] = None
    weights: Annotated[Path | None, Field(description="The detector's weights."), Cli(metavar="FILE")] = None
    search_size: SearchSize = None
    turns: Turns = False
    faces: Annotated[Literal["all", "largest"], Field(description="Faces of a frame that count.")] = "all"
    tta: Annotated[
        Literal["none", "flip", "ten-crop"], Field(description="Views of a face whose predictions are averaged.")
    ] = "none"
    every: Annotated[int, Field(ge=1, description="Of a video or webcam, take each N-th frame.")] = 1
    frames: Annotated[int | None, Field(ge=1, description="Stop after this many frames.")] = None
    strict: Annotated[bool, Field(description="Stop at a picture that cannot be read, instead of skipping it.")] = False
    device: Device = "auto"
    workers: Workers = None
    overwrite: Annotated[bool, Field(description="Replace what stands at --csv and --draw."), Cli(counts=False)] = False
