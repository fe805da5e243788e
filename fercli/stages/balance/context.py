"""What a method is given of a data set that is to be filled up, and calling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, Input
from fercli.artifacts.building import ArtifactBuilder
from fercli.datasets.index import Row
from fercli.generation.prompts.prompts import Prompt
from fercli.images import Color
from fercli.progress import Progress
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.methods.registry import Method
from fercli.stages.balance.plan import Plan


@dataclass
class BalanceContext:
    """A data set that is to be filled up.

    Attributes:
        job: The artifact being built; its folder holds the data set's own images already.
        dataset: The data set that is read.
        rows: The images taken over, as they are in the job's folder.
        constant: Paths of those of one constant value, of which nothing can be learnt.
        plan: How many images each class gets.
        config: The options.
        progress: A listener.
        form: Side and colour that new images get; None for those of the data set's own.
        prompts: Those to be run; empty where they are to be drawn to the plan.
        summary: What the method adds to the summary.
        details: What the method adds to the manifest's details.
        device: Where it computed.
    """

    job: ArtifactBuilder
    dataset: Artifact
    rows: list[Row]
    constant: set[str]
    plan: Plan
    config: BalanceConfig
    progress: Progress
    form: tuple[int, Color] | None = None
    prompts: Sequence[Prompt] = ()
    summary: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"


def method_inputs(method: Method, config: BalanceConfig) -> list[Input]:
    """Return what a method reads besides the data set: what its module's function `inputs` returns, if it has one."""
    function = getattr(method.load(), "inputs", None)
    return function(config) if function else []


def check_method(method: Method, dataset: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Refuse what cannot be filled before any image is read: by the module's function `check`, if it has one."""
    function = getattr(method.load(), "check", None)
    if function:
        function(dataset, rows, plan)


def fill(method: Method, work: BalanceContext) -> list[Row]:
    """Make the images that the plan asks for; return their rows."""
    rows: list[Row] = method.load().fill(work)
    return rows
