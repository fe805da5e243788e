"""Options of clean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from fercli.faces.detectors import NAMES_HELP
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import DetectorWeights, Device, Out, Overwrite, Workers


class CleanConfig(StageConfig):
    """Find exact and near duplicates, and remove copies that leak from one split into another."""

    stage: ClassVar[str] = "clean"
    kind: ClassVar[str] = "dataset"

    dataset: Annotated[
        Path | None,
        Field(description="The dataset to examine (default: the newest under artifacts/)."),
        Cli(argument=True, metavar="DATASET", in_key=False),
    ] = None
    out: Out = None
    near: Annotated[bool, Field(description="Remove near copies too (always reported; check the report first).")] = (
        False
    )
    constant: Annotated[bool, Field(description="Remove images of constant colour too.")] = False
    detector: Annotated[
        str | None,
        Field(description=f"Remove images in which a detector finds no face; one of: {NAMES_HELP}."),
        Cli(metavar="NAME"),
    ] = None
    weights: DetectorWeights = None
    align: Annotated[
        bool,
        Field(
            description="Rotate faces so that the eyes are level, keeping the size (needs a detector with landmarks)."
        ),
    ] = False
    report_only: Annotated[bool, Field(description="Write only the report, no dataset.")] = False
    labels: Annotated[
        tuple[Path, ...],
        Field(
            description="Runs used to find label issues by out-of-fold predictions: a cross-validation, or one run per "
            "fold (fer pack --fold). May be given several times. See label_issues.csv and report.html."
        ),
        Cli(metavar="RUN", in_key=False),
    ] = ()
    drop_label_issues: Annotated[
        bool,
        Field(description="Remove label issues from train (never from validation or test); this clears the folds."),
    ] = False
    device: Device = "auto"
    workers: Workers = None
    overwrite: Overwrite = False

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if self.drop_label_issues and not self.labels:
            raise ValueError("drop-label-issues: give the runs that find them with --labels RUN")
        return self
