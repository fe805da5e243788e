"""The options of `fer clean`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from fercli.faces.detectors import NAMES_HELP
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import Device, Out, Overwrite, Workers


class CleanConfig(StageConfig):
    """Find equal and near-equal images, and take out the copies that leak from one split into another."""

    stage: ClassVar[str] = "clean"
    kind: ClassVar[str] = "dataset"

    dataset: Annotated[
        Path | None,
        Field(description="The dataset to examine (default: the newest under artifacts/)."),
        Cli(argument=True, metavar="DATASET", in_key=False),
    ] = None
    out: Out = None
    near: Annotated[
        bool, Field(description="Take out near copies too (they are always reported); look at the report first.")
    ] = False
    constant: Annotated[bool, Field(description="Take out images of one constant value too.")] = False
    faces: Annotated[
        str | None,
        Field(description=f"Take out images without a face, enlarged first and searched by one of: {NAMES_HELP}."),
        Cli(metavar="DETECTOR"),
    ] = None
    face_weights: Annotated[
        Path | None,
        Field(description="That detector's weights (default: those that fer weights get fetched)."),
        Cli(metavar="FILE", in_key=False),
    ] = None
    align: Annotated[
        bool, Field(description="Turn faces so that their eyes are level, sizes kept (--faces with landmarks).")
    ] = False
    report_only: Annotated[bool, Field(description="Write the report alone, and no dataset.")] = False
    labels: Annotated[
        tuple[Path, ...],
        Field(
            description="Runs whose predictions for images that they were not trained on tell suspected wrong labels: "
            "one on each fold (fer pack --fold). May be given several times. See suspects.csv and report.html."
        ),
        Cli(metavar="RUN", in_key=False),
    ] = ()
    drop_suspects: Annotated[
        bool,
        Field(description="Take suspects out of train. Those of validation and test stay, and folds are forgotten."),
    ] = False
    device: Device = "auto"
    workers: Workers = None
    overwrite: Overwrite = False

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if self.drop_suspects and not self.labels:
            raise ValueError("drop-suspects: name the runs that tell them, with --labels RUN")
        return self
