"""The options of `fer detect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fercli.faces.cropping import MARGIN
from fercli.images import Color
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import (
    Detector,
    DetectorWeights,
    Engine,
    FrameStep,
    Margin,
    Out,
    Overwrite,
    RayAddress,
    SearchSize,
    Seed,
    Strict,
    Turns,
    Workers,
)


class DetectConfig(StageConfig):
    """Detect faces in photographs and videos, and crop them."""

    stage: ClassVar[str] = "detect"
    kind: ClassVar[str] = "dataset"

    photographs: Annotated[
        Path,
        Field(description="A photograph, a video, a folder of them, or the output of fer sample."),
        Cli(argument=True, metavar="RAW", in_key=False),
    ]
    out: Out = None
    detector: Detector = None
    size: Annotated[int, Field(ge=8, le=1024, description="Side length of the face crops in pixels.")] = 48
    color: Annotated[Color, Field(description="Color of the face crops")] = "gray"
    margin: Margin = MARGIN
    align: Annotated[bool, Field(description="Rotate faces so that the eyes are level (needs landmarks).")] = False
    faces: Annotated[Literal["all", "largest"], Field(description="Faces to keep of each photograph")] = "all"
    min_size: Annotated[
        int, Field(ge=0, description="Discard faces whose box is smaller than this, in pixels of the shorter side.")
    ] = 0
    min_score: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="Discard faces with a lower score, on the detector's own scale."),
    ] = None
    search_size: SearchSize = None
    turns: Turns = False
    every: FrameStep = "1s"
    weights: DetectorWeights = None
    strict: Strict = False
    engine: Engine = "local"
    ray_address: RayAddress = None
    seed: Seed = 0
    workers: Workers = None
    overwrite: Overwrite = False
