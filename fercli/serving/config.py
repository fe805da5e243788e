"""Options of serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from fercli.pretrained import DEFAULT
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Detector, DetectorWeights, Device, SearchSize, Turns, Workers


class ServeConfig(StageConfig):
    """Serve a page and a JSON API on which models recognise emotions."""

    stage: ClassVar[str] = "serve"
    kind: ClassVar[str] = ""  # it writes nothing

    checkpoints: Annotated[
        tuple[Path, ...],
        Field(
            min_length=1,
            description="Checkpoints, runs, exported models, models listed by fer models --pretrained, or on the hub, "
            "as hf://OWNER/NAME; the first is used where no other is named.",
        ),
        Cli(argument=True, metavar="CHECKPOINT"),
    ] = (Path(DEFAULT),)
    host: Annotated[
        str,
        Field(
            min_length=1,
            description="Address to listen at; any other than this machine's own (127.0.0.1) asks for a token, which "
            "is printed, or taken from the variable FERCLI_TOKEN.",
        ),
        Cli(metavar="ADDRESS"),
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="Port; 0 for a free one."), Cli(metavar="N")] = 8000
    allow_host: Annotated[
        tuple[str, ...],
        Field(
            description="A further name by which browsers reach it, such as that of a proxy before it; repeatable. It "
            "asks for a token as well."
        ),
        Cli(metavar="NAME"),
    ] = ()
    detector: Detector = None
    weights: DetectorWeights = None
    search_size: SearchSize = None
    turns: Turns = False
    device: Device = "auto"
    workers: Workers = None
    max_megabytes: Annotated[
        float, Field(gt=0, le=1000, description="Largest picture that is accepted, megabytes."), Cli(metavar="N")
    ] = 20.0
    max_megapixels: Annotated[
        float, Field(gt=0, le=100, description="The same in million pixels."), Cli(metavar="N")
    ] = 50.0
    max_faces: Annotated[
        int,
        Field(ge=1, le=10_000, description="Faces of a picture that are recognised, the largest."),
        Cli(metavar="N"),
    ] = 100
    max_requests: Annotated[
        int,
        Field(ge=1, le=1000, description="Requests answered at the same time; further ones are told to come again."),
        Cli(metavar="N"),
    ] = 32
    max_cameras: Annotated[
        int, Field(ge=1, le=1000, description="Cameras and films at the same time."), Cli(metavar="N")
    ] = 8
    timeout: Annotated[
        float,
        Field(ge=1, le=3600, description="Seconds in which a request must arrive, and a camera send its next frame."),
        Cli(metavar="SECONDS"),
    ] = 30.0

    @field_validator("allow_host")
    @classmethod
    def _check_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name or "/" in name or name != name.strip():
                raise ValueError(f"'{name}': expected a host name, such as faces.example.org")
        return tuple(name.lower() for name in names)
