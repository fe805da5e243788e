"""The table of methods: how the images that a class lacks are made. To add one: a file here, and a line in `METHODS`.

A method is one function from a `BalanceContext` to the rows of the images it made. Its module is imported when it is
called, so that only a method that needs torch loads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from fercli.stages.balance.plan import Strategy

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: What `--method` calls it.
        title: What it does, in a few words.
        way: How the plan divides what is missing: all by augmentation, all generated, or some of each.
        module: Module whose function `fill` makes the images: a `BalanceContext` in, the rows of the new images out,
            the images in the job's folder.
        resumable: Whether an interrupted call is gone on with.
        options: Names of the options that it alone, or with others, has use for.
    """

    name: str
    title: str
    way: Strategy
    module: str
    resumable: bool = False
    options: frozenset[str] = frozenset()

    def load(self) -> ModuleType:
        """Import the method's module."""
        return import_module(self.module)


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
        Method("augment", "changed copies of the class's images", "augment", f"{__package__}.augment"),
        Method("generate", "a diffusion model's", "generate", f"{__package__}.generate", True, GENERATION),
        Method("mix", "of both", "mix", f"{__package__}.mix", True, GENERATION | {"augment_share"}),
        Method("gan", "faces of a GAN trained on the train split", "generate", f"{__package__}.gan", True, GAN),
    )
}
"""The methods by name."""
SPECIAL = frozenset().union(*(method.options for method in METHODS.values()))
"""The options that not every method has use for."""
