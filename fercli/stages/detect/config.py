"""The options of `fer detect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fercli.faces.cropping import MARGIN
from fercli.faces.detectors import DEFAULT_HELP, NAMES_HELP
from fercli.images import Color
from fercli.stages.base import Cli, FrameStep, Out, Overwrite, SearchSize, Seed, StageConfig, Turns, Workers


class DetectConfig(StageConfig):
    """What detect looks for, and how it cuts faces out."""

    stage: ClassVar[str] = "detect"
    kind: ClassVar[str] = "dataset"

    photographs: Annotated[
        Path,
        Field(description="A folder of photographs and videos, one of them, or what fer sample made."),
        Cli(argument=True, metavar="RAW", in_key=False),
    ]
    out: Out = None
    detector: Annotated[
        str | None, Field(description=f"What finds the faces: {NAMES_HELP} {DEFAULT_HELP}."), Cli(metavar="NAME")
    ] = None
    size: Annotated[int, Field(ge=8, le=1024, description="Side of the face crops, pixels.")] = 48
    color: Annotated[Color, Field(description="Color of the crops.")] = "gray"
    margin: Annotated[
        float, Field(ge=0, le=1, description="Added around the detector's box, as a share of its side on each side.")
    ] = MARGIN
    align: Annotated[bool, Field(description="Turn each face so that its eyes are level (needs landmarks).")] = False
    faces: Annotated[Literal["all", "largest"], Field(description="Which faces of a photograph.")] = "all"
    min_size: Annotated[
        int, Field(ge=0, description="Leave out faces whose box has a shorter side of fewer pixels.")
    ] = 0
    min_score: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="Leave out faces of a lower score, on the detector's own scale."),
    ] = None
    search_size: SearchSize = None
    turns: Turns = False
    every: FrameStep = "1s"
    weights: Annotated[
        Path | None,
        Field(description="The detector's weights; yolo needs them (default: those that fer weights get fetched)."),
        Cli(metavar="FILE", in_key=False),
    ] = None
    strict: Annotated[bool, Field(description="Stop at the first unreadable photograph instead of skipping it.")] = (
        False
    )
    engine: Annotated[
        Literal["local", "ray"],
        Field(description="Threads of this process, or the workers of a Ray cluster."),
        Cli(in_key=False),
    ] = "local"
    ray_address: Annotated[
        str | None,
        Field(description="The cluster, HOST:PORT or auto (default: RAY_ADDRESS, or a Ray of this machine)."),
        Cli(metavar="ADDRESS", in_key=False),
    ] = None
    seed: Seed = 0
    workers: Workers = None
    overwrite: Overwrite = False
