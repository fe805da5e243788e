"""The table of methods that create missing images. To add one: a file here, and a line in `METHODS`.

A method is a function from a `BalanceContext` to the rows of the images it created. Its module is imported on first
use, so that torch is only loaded if the method needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from fercli.stages.balance.plan import Strategy


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: Its name in `--method`.
        title: What it does, in a few words.
        strategy: How the plan divides the missing images between augmentation and generation.
        module: Module whose function `fill` creates the images in the builder's folder and returns their rows.
        resumable: Whether an interrupted call is resumed.
        options: Names of the options used by this method, but not by all methods.
    """

    name: str
    title: str
    strategy: Strategy
    module: str
    resumable: bool = False
    options: frozenset[str] = frozenset()

    def load(self) -> ModuleType:
        """Import the method's module."""
        return import_module(self.module)


GENERATION = frozenset(
    {
        "generator", "revision", "steps", "guidance", "image_size", "scheduler", "batch_size", "tries", "detector",
        "weights", "margin", "plan", "engine", "ray_address", "keep_anyway",
    }
)  # fmt: skip

GAN = frozenset({"gan_steps", "gan_batch", "gan_width", "gan_truncation", "keep_anyway"})

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("augment", "altered copies of existing images", "augment", f"{__package__}.augment"),
        Method("generate", "images from a diffusion model", "generate", f"{__package__}.generate", True, GENERATION),
        Method("mix", "both", "mix", f"{__package__}.mix", True, GENERATION | {"augment_share"}),
        Method("gan", "faces from a GAN trained on the train split", "generate", f"{__package__}.gan", True, GAN),
    )
}
"""The methods by name."""
SPECIAL = frozenset().union(*(method.options for method in METHODS.values()))
"""The options not used by all methods."""
