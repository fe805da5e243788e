"""What a method is given of the dataset to fill up, and calling the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, Input
from fercli.artifacts.building import ArtifactBuilder
from fercli.datasets.index import Row
from fercli.generation.prompts.prompt import Prompt
from fercli.images import Color
from fercli.progress import Progress
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.methods.registry import Method
from fercli.stages.balance.plan import Plan


@dataclass
class BalanceContext:
    """A dataset to be filled up.

    Attributes:
        builder: The artifact being built; its folder already holds the copied images.
        source: The dataset that is read, or the plan that is run.
        rows: The copied images, as they are in the builder's folder.
        constant: Paths of the images of one constant value, from which nothing can be learned.
        plan: How many images each class gets.
        config: The options.
        progress: Progress callback.
        face_format: Side and colour of new images; None for those of the dataset.
        prompts: Prompts to run; empty to generate prompts for the plan.
        summary: What the method adds to the summary.
        details: What the method adds to the manifest's details.
        device: Device that was computed on.
    """

    builder: ArtifactBuilder
    source: Artifact
    rows: list[Row]
    constant: set[str]
    plan: Plan
    config: BalanceConfig
    progress: Progress
    face_format: tuple[int, Color] | None = None
    prompts: Sequence[Prompt] = ()
    summary: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"


def method_inputs(method: Method, config: BalanceConfig) -> list[Input]:
    """Return what a method reads besides the dataset, from its module's function `inputs`, if there is one."""
    function = getattr(method.load(), "inputs", None)
    return function(config) if function else []


def check_method(method: Method, source: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Refuse what a method cannot fill before any image is read, by its module's function `check`, if there is one."""
    function = getattr(method.load(), "check", None)
    if function:
        function(source, rows, plan)


def fill(method: Method, context: BalanceContext) -> list[Row]:
    """Create the images that the plan asks for; return their rows."""
    rows: list[Row] = method.load().fill(context)
    return rows
