"""Options of explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from fercli.pretrained import DEFAULT, find_pretrained, names_checkpoint
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import (
    CHECKPOINT_HELP,
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
    """Options of explain."""

    stage: ClassVar[str] = "explain"
    kind: ClassVar[str] = "explanation"

    checkpoint: Annotated[
        Path | None,
        Field(description=f"{CHECKPOINT_HELP} May be omitted before IMAGES (default: {DEFAULT})."),
        Cli(argument=True, metavar="CHECKPOINT", in_key=False),
    ] = None
    images: Annotated[
        tuple[Path, ...],
        Field(description="Pictures, folders of pictures, datasets or packs (none for the weight analysis)."),
        Cli(argument=True, metavar="IMAGES…", in_key=False),
    ] = ()
    out: OutOption = None
    method: Annotated[
        Literal["gradcam", "weights"],
        Field(description="Grad-CAM heat maps, or the share of each feature in the last fully connected layers."),
    ] = "gradcam"
    emotion: Annotated[
        str,
        Field(description="Emotion to explain: a name, or predicted, each face's predicted emotion."),
        Cli(metavar="NAME"),
    ] = "predicted"
    layer: Annotated[
        str | None,
        Field(description="Module whose output Grad-CAM explains (default: set by the model)."),
        Cli(metavar="MODULE"),
    ] = None
    faces: Annotated[
        Literal["auto", "photograph", "crop"],
        Field(
            description="Content of the pictures. auto treats those of at most 64 pixels, and square ones of at most "
            "256, as cropped faces, and detects faces in all others"
        ),
    ] = "auto"
    detector: Detector = None
    weights: DetectorWeights = None
    search_size: SearchSize = None
    turns: Turns = False
    split: Annotated[
        Literal["train", "validation", "test", "unlabelled"],
        Field(description="Split of a dataset, a pack or synthetic photographs"),
    ] = "validation"
    limit: Annotated[
        int | None,
        Field(ge=1, description="Maximum number of pictures, sampled evenly across emotions (default: all)."),
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

    @model_validator(mode="before")
    @classmethod
    def _without_checkpoint(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A first argument that is no checkpoint, but a picture, a folder, a dataset or a pack, belongs to IMAGES."""
        given = values.get("checkpoint")
        if given is None or values.get("method") == "weights":
            return values
        path, alone = Path(given), not values.get("images")
        if not path.exists() or (names_checkpoint(path) and not (alone and find_pretrained(path))):
            return values
        images = values.get("images") or ()
        images = (images,) if isinstance(images, str | Path) else tuple(images)
        return {**values, "checkpoint": Path(DEFAULT), "images": (given, *images)}
