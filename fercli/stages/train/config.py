"""Options of train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from fercli.stages.base import Cli
from fercli.stages.options import Devices, Out, Overwrite, Track
from fercli.stages.train_options import TrainOptions


class TrainConfig(TrainOptions):
    """Options of train."""

    pack: Annotated[Path | None, Field(description="A pack."), Cli(argument=True, metavar="PACK", in_key=False)] = None
    out: Out = None
    devices: Devices = "1"
    track: Track = ()
    overwrite: Overwrite = False
