"""Options of explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import (
    Detector,
    DetectorWeights,
    Device,
    OutOption,
    Overwrite,
    SearchSize,
    Seed,
    Strict,
    Turns,
)


class ExplainConfig(StageConfig):
    """What explain looks at, and how."""

    stage: ClassVar[str] = "explain"
    kind: ClassVar[str] = "explanation"

    checkpoint: Annotated[
        Path | None,
        Field(description="A checkpoint, or a run (its best checkpoint)."),
        Cli(argument=True, metavar="CHECKPOINT", in_key=False),
    ] = None
    images: Annotated[
        tuple[Path, ...],
        Field(description="Pictures, folders of them, datasets or packs (none for the weight analysis)."),
        Cli(argument=True, metavar="IMAGES…", in_key=False),
    ] = ()
    out: OutOption = None
    method: Annotated[
        Literal["gradcam", "weights"],
        Field(description="Heat maps of faces, or the share of each feature in the last fully connected layers."),
    ] = "gradcam"
    emotion: Annotated[
        str,
        Field(description="Emotion whose evidence is shown: a name, or each face's predicted one."),
        Cli(metavar="NAME"),
    ] = "predicted"
    layer: Annotated[
        str | None,
        Field(description="Module whose maps Grad-CAM explains (default: the model's own)."),
        Cli(metavar="MODULE"),
    ] = None
    faces: Annotated[
        Literal["auto", "photograph", "crop"],
        Field(
            description="What the pictures are. auto takes those of at most 64 pixels, and square ones of at most 256, "
            "for faces cut out already, and looks for faces in all others"
        ),
    ] = "auto"
    detector: Detector = None
    weights: DetectorWeights = None
    search_size: SearchSize = None
    turns: Turns = False
    split: Annotated[
        Literal["train", "validation", "test", "unlabelled"],
        Field(description="Split of a dataset, a pack or drawn photographs"),
    ] = "validation"
    limit: Annotated[
        int | None,
        Field(ge=1, description="At most so many pictures, drawn evenly from the emotions (default: all)."),
        Cli(metavar="N"),
    ] = None
    strict: Strict = False
    seed: Seed = 0
    batch_size: Annotated[
        int,
        Field(ge=1, le=4096, description="Faces per batch; does not affect results."),
        Cli(in_key=False),
    ] = 32
    device: Device = "auto"
    overwrite: Overwrite = False
