"""The input of a method, and calls to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, Input
from fercli.artifacts.building import ArtifactBuilder
from fercli.artifacts.summary import Summary
from fercli.datasets.index import Row
from fercli.generation.prompts.prompt import Prompt
from fercli.images import Color
from fercli.progress import Progress
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.methods.registry import Method
from fercli.stages.balance.plan import Plan


@dataclass
class BalanceContext:
    """A dataset to fill up.

    Attributes:
        builder: The artifact being built; its folder already contains the copied images.
        source: The input dataset, or the plan that is run.
        rows: The copied images, as they are in the builder's folder.
        constant: Paths of constant images, from which nothing can be learned.
        plan: How many images each class gets.
        config: The options.
        progress: Progress callback.
        face_format: Side and colour of new images; None for those of the dataset.
        prompts: Prompts to run; empty to generate prompts for the plan.
        summary: Parts added to the summary, by field of `BalanceSummary`.
        details: Entries added to the manifest's details.
        device: Type of the device used.
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
    summary: dict[str, Summary] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"


def method_inputs(method: Method, config: BalanceConfig) -> list[Input]:
    """Return the additional inputs of a method, from its module's optional function `inputs`."""
    function = getattr(method.load(), "inputs", None)
    return function(config) if function else []


def check_method(method: Method, source: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Reject, before any image is read, what a method cannot fill, by its module's optional function `check`."""
    function = getattr(method.load(), "check", None)
    if function:
        function(source, rows, plan)


def fill(method: Method, context: BalanceContext) -> list[Row]:
    """Create the images that the plan asks for; return their rows."""
    rows: list[Row] = method.load().fill(context)
    return rows
