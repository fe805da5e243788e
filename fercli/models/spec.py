"""What the table knows of a model. Read without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fercli.errors import UsageError, did_you_mean

GRAY_MEAN, GRAY_STD = (0.5077,), (0.2551,)
"""Pixel mean and standard deviation of FER2013, of values in 0..1."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

REDUCED = {"reduced": ("no", "yes")}
"""The option of every model that has a small member."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model of the table, or of a plugin, which needs no more than `build`.

    Attributes:
        name: What `--model` calls it.
        family: The file it stands in.
        paper: Where it comes from.
        build: `module:function`, or the function itself; it takes `classes`, the arguments and the options and returns
            an nn.Module from (B, channels, H, W) normalised floats to (B, classes) logits.
        arguments: What the name settles of the function's arguments.
        parameters: Number of parameters for seven classes; 0: not said.
        input_size: Height and width, pixels, that the paper trains at.
        smallest: The least input size it can take.
        smallest_why: Why not a smaller one.
        mean: Of each input channel, of values in 0..1; its length is the number of channels.
        std: As `mean`.
        gradcam: Name of the module whose output (B, C, h, w) Grad-CAM explains; empty: it has none.
        recipe: Name of its recipe's file among fercli's; empty: its own name. Of a plugin also the path of a TOML file,
            or its content as a mapping, whole or the settings alone; empty: the recipe of timm's models.
        imagenet: timm's name of the backbone whose ImageNet weights `--weights imagenet` takes; empty: none.
        imagenet_prefix: What the backbone's names begin with in this model.
        rename: `module:function`, or the function itself; it takes a state_dict and returns it with its authors' (or
            torchvision's) names changed to ours, or None where it is not theirs; empty: there is none.
        authors_mark: What a name in a state_dict of its authors' public code begins with, and in no other's.
        authors_emotions: The order of the emotions in weights of its authors' public code.
        backbone: Prefixes of the names of the parameters that `--freeze backbone` holds still.
        options: Allowed values of each of its own options, the default first.
        reduced: Arguments that make a small member of the family, to try a chain out with; empty: there is none.
        reduced_size: The small member's input size, pixels.
        unreached: Prefixes of the names of parameters that no gradient of the classification reaches, with the reason.
    """

    name: str = ""
    family: str = ""
    paper: str = ""
    build: str | Callable[..., Any]
    parameters: int = 0
    input_size: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    gradcam: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    smallest: int = 16
    smallest_why: str = ""
    recipe: str | Path | Mapping[str, Any] = ""
    imagenet: str = ""
    imagenet_prefix: str = ""
    rename: str | Callable[..., Any] = ""
    authors_mark: str = ""
    authors_emotions: tuple[str, ...] = ()
    backbone: tuple[str, ...] = ()
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reduced: dict[str, Any] = field(default_factory=dict)
    reduced_size: int = 0
    unreached: dict[str, str] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return len(self.mean)

    @property
    def recipe_file(self) -> str | Path | Mapping[str, Any]:
        """Stem of its recipe's TOML file among fercli's; of a plugin also the file, or its content."""
        return self.recipe or self.name

    @property
    def recipe_name(self) -> str:
        """What people see of where its recipe comes from."""
        return self.name if isinstance(self.recipe_file, Mapping) else Path(self.recipe_file).stem

    @property
    def all_options(self) -> dict[str, tuple[str, ...]]:
        """Its own options, and `reduced` where it has a small member."""
        return {**self.options, **(REDUCED if self.reduced else {})}

    def check_options(self, options: dict[str, str]) -> dict[str, str]:
        """Return the model's options with defaults filled in.

        Raises:
            UsageError: an option is not the model's, or its value not allowed.
        """
        known = self.all_options
        for name, value in options.items():
            if name == "reduced" and name not in known:
                raise UsageError(f"model {self.name} has no small member; leave --reduced out")
            if name not in known:
                raise UsageError(f"model {self.name} has no option '{name.replace('_', '-')}'")
            if value not in known[name]:
                raise UsageError(did_you_mean(name.replace("_", "-"), value, list(known[name])))
        return {name: options.get(name, allowed[0]) for name, allowed in known.items()}

    def side(self, input_size: int | None = None, *, reduced: bool = False) -> int:
        """Return the input size, pixels: the one asked for, else the model's own.

        Raises:
            UsageError: it is smaller than the model can take.
        """
        side = input_size or (self.reduced_size if reduced else self.input_size)
        if side < self.smallest:
            why = f" ({self.smallest_why})" if self.smallest_why else ""
            raise UsageError(
                f"model {self.name}: an input size of {side} px is too small; it takes {self.smallest} px and more{why}"
            )
        return side
