"""The table of methods: how the images that a class lacks are made. To add one: a file here, and a line in `METHODS`.

A method is one function from a `Work` to the rows of the images it made. It is imported when it is called, so that only
a method that needs torch loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fercli.artifacts import Artifact, Input
from fercli.building import Job
from fercli.datasets.index import Row
from fercli.images import Color
from fercli.progress import Progress
from fercli.stages.balance.plan import Plan, Way

if TYPE_CHECKING:
    from fercli.stages.balance.config import BalanceConfig
    from fercli.stages.balance.prompts import Prompt


@dataclass
class Work:
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

    job: Job
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


Fill = Callable[[Work], list[Row]]


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: What `--method` calls it.
        title: What it does, in a few words.
        way: How the plan divides what is missing: all by augmentation, all generated, or some of each.
        module: Module whose function `fill` makes the images: a `Work` in, the rows of the new images out, the images
            in the job's folder.
        resumable: Whether an interrupted call is gone on with.
        options: Names of the options that it alone, or with others, has use for.
    """

    name: str
    title: str
    way: Way
    module: str
    resumable: bool = False
    options: frozenset[str] = frozenset()

    def inputs(self, config: BalanceConfig) -> list[Input]:
        """Return what it reads besides the data set: what its module's function `inputs` tells, where it has one."""
        function = getattr(import_module(self.module), "inputs", None)
        return function(config) if function else []

    def check(self, dataset: Path, rows: Sequence[Row], plan: Plan) -> None:
        """Refuse what cannot be filled before any image is read: by its module's function `check`, where it has one."""
        function = getattr(import_module(self.module), "check", None)
        if function:
            function(dataset, rows, plan)

    def fill(self, work: Work) -> list[Row]:
        """Make the images that the plan wants; return their rows."""
        function: Fill = import_module(self.module).fill
        return function(work)


GENERATION = frozenset(
    {
        "generator", "revision", "steps", "guidance", "image_size", "scheduler", "batch", "tries", "detector",
        "weights", "margin", "plan", "engine", "ray_address", "keep_anyway",
    }
)  # fmt: skip

GAN = frozenset({"gan_steps", "gan_batch", "gan_width", "gan_truncation", "keep_anyway"})

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("augment", "changed copies of the class's images", "augment", f"{__package__}.augmenting"),
        Method("generate", "a diffusion model's", "generate", f"{__package__}.generate.filling", True, GENERATION),
        Method("mix", "of both", "mix", f"{__package__}.mixing", True, GENERATION | {"augment_share"}),
        Method("gan", "faces of a GAN trained on the train split", "generate", f"{__package__}.gan.filling", True, GAN),
    )
}
"""The methods by name."""
SPECIAL = frozenset().union(*(method.options for method in METHODS.values()))
"""The options that not every method has use for."""
