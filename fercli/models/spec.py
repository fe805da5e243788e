"""The specification of a model. Imported without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fercli.errors import UsageError, did_you_mean

GRAY_MEAN, GRAY_STD = (0.5077,), (0.2551,)
"""Pixel mean and standard deviation of FER2013, of values in 0..1."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMM = "timm/"
"""Prefix of the names of timm's models."""

Options = dict[str, str | bool]
"""Options of a model by name; all are strings but `reduced`, which every model with a small variant has."""
_BOOLS = {"no": False, "yes": True}


def parse_options(texts: Mapping[str, Any]) -> Options:
    """Return options as written in files and `NAME=VALUE` texts, with `reduced` as a bool."""
    return {name: _BOOLS.get(str(value), value) if name == "reduced" else value for name, value in texts.items()}


def format_options(options: Mapping[str, str | bool]) -> dict[str, str]:
    """Return options as written in files: the inverse of `parse_options`."""
    return {name: value if isinstance(value, str) else "yes" if value else "no" for name, value in options.items()}


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model of the table or of a plugin; a plugin only needs `build`.

    Attributes:
        name: Its name for `--model`.
        family: The file that contains it.
        paper: Its source.
        build: `module:function`, or the function itself; it takes `classes`, the arguments and the options and returns
            an nn.Module from (B, channels, H, W) normalised floats to (B, classes) logits.
        arguments: Arguments of the function that are determined by the name.
        parameters: Number of parameters for seven classes; 0: unspecified.
        input_size: Height and width in pixels at which the paper trains.
        smallest: The smallest input size it accepts.
        smallest_why: Why smaller inputs are not possible.
        mean: Of each input channel, of values in 0..1; its length is the number of channels.
        std: As `mean`.
        gradcam: Name of the module whose output (B, C, h, w) Grad-CAM explains; empty: none.
        recipe: Name of its recipe file in fercli; empty: the model's name. For a plugin also the path of a TOML file,
            or its content as a mapping, complete or only the settings; empty: the recipe of timm's models.
        imagenet: timm's name of the backbone whose ImageNet weights `--weights imagenet` loads; empty: none.
        imagenet_prefix: Prefix of the backbone's parameter names in this model.
        rename: `module:function`, or the function itself; it takes a state_dict and returns it with the names of the
            authors' code (or torchvision) mapped to ours, or None if it is not theirs; empty: none.
        authors_mark: Prefix of a name that only occurs in state_dicts of the authors' public code.
        authors_emotions: The order of the emotions in weights of the authors' public code.
        backbone: Name prefixes of the parameters that `--freeze backbone` freezes.
        options: Allowed values of each of the model's options, the default first.
        reduced: Arguments of a small variant for testing a pipeline; empty: none.
        reduced_size: The small variant's input size in pixels.
        on_features: Whether the backbone is always frozen, and training runs on its features, computed once.
        unreached: Name prefixes of parameters that the classification loss has no gradient for, with the reason.
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
    on_features: bool = False
    unreached: dict[str, str] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return len(self.mean)

    @property
    def recipe_file(self) -> str | Path | Mapping[str, Any]:
        """Stem of its recipe's TOML file in fercli; for a plugin also the file, or its content."""
        return self.recipe or self.name

    @property
    def recipe_name(self) -> str:
        """Name of its recipe, for display."""
        return self.name if isinstance(self.recipe_file, Mapping) else Path(self.recipe_file).stem

    def check_options(self, options: Mapping[str, str | bool]) -> Options:
        """Return the model's options, and `reduced` if it has a small variant, with defaults filled in.

        Raises:
            UsageError: the model has no such option, or the value is not allowed.
        """
        known: dict[str, tuple[str | bool, ...]] = {**self.options}
        if self.reduced:
            known["reduced"] = (False, True)
        for name, value in options.items():
            if name == "reduced" and name not in known:
                raise UsageError(f"model {self.name} has no small variant; omit --reduced")
            if name not in known:
                raise UsageError(f"model {self.name} has no option '{name.replace('_', '-')}'")
            if value not in known[name]:
                allowed = list(_BOOLS) if name == "reduced" else [str(one) for one in known[name]]
                raise UsageError(did_you_mean(name.replace("_", "-"), str(value), allowed))
        return {name: options.get(name, allowed[0]) for name, allowed in known.items()}

    def side(self, input_size: int | None = None, *, reduced: bool = False) -> int:
        """Return the input size in pixels: the one requested, or the model's default.

        Raises:
            UsageError: it is smaller than the model accepts.
        """
        side = input_size or (self.reduced_size if reduced else self.input_size)
        if side < self.smallest:
            why = f" ({self.smallest_why})" if self.smallest_why else ""
            raise UsageError(
                f"model {self.name}: an input size of {side} px is too small; the minimum is {self.smallest} px{why}"
            )
        return side
