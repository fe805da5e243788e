"""Models by name. Read without torch, so that `fer models` answers at once.

`fercli.models.table` holds the models with names of their own, `fercli.models.naming` the rule for names that are put
together, and any classifier of timm goes by `timm/<name>`. Installed packages add models by entry points of the group
`fercli.models`, and a call can name one as `module:attribute`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fercli.errors import FerError
from fercli.models.naming import combinations, parse
from fercli.models.spec import ModelSpec
from fercli.models.table import TABLE
from fercli.recipes import RecipeSource
from fercli.registry import Registry, resolve

if TYPE_CHECKING:
    from torch import Tensor, nn

TIMM = "timm/"
"""What names of timm's classifiers begin with."""
DEFAULT_RECIPE = "timm"
"""Stem of the recipe of models that have none: those of timm, and plugins' that name none."""

MODELS: tuple[ModelSpec, ...] = (*TABLE, *combinations())
"""Every model of fercli's own but timm's."""


def _adapt(name: str, given: Any) -> ModelSpec:
    """Make a plugin's entry: of a `ModelSpec`, or of a function or class that makes a module of `classes`."""
    if isinstance(given, ModelSpec):
        return replace(given, name=name, recipe=given.recipe or DEFAULT_RECIPE)
    if callable(given):
        return ModelSpec(name=name, build=given, recipe=DEFAULT_RECIPE)
    raise TypeError(f"wanted a ModelSpec, or a function from classes to an nn.Module, not {type(given).__name__}")


REGISTRY = Registry("model", "fercli.models", {spec.name: spec for spec in MODELS}, _adapt, "fer models lists all")


def find_model(name: str, *, from_call: bool = False) -> ModelSpec:
    """Return a model's entry.

    Args:
        name: A name of the table or of an installed package, one that is put together, `timm/<name>`, or
            `module:attribute`.
        from_call: Whether the user gave the name on this call, and not a file such as a checkpoint: only then may it
            import a module that no installed package registers (see `fercli.registry`).

    Raises:
        UsageError: there is no such model, or its parts do not go together; the message names near ones.
        FerError: the package that has it is broken.
    """
    if name.startswith(TIMM):
        from fercli.models.timm_models import timm_spec

        return timm_spec(name.removeprefix(TIMM))
    if name not in REGISTRY.own and name not in REGISTRY.names():
        parse(name)  # a backbone with a wrong attention or activation says what is wrong
    return REGISTRY.find(name, from_call=from_call)


def find_declared(name: str, *, from_call: bool = False) -> ModelSpec | None:
    """Return a model's entry where it is written down; None of timm's, whose networks have to be built for theirs.

    Raises:
        UsageError, FerError: as `find_model`.
    """
    return None if name.startswith(TIMM) else find_model(name, from_call=from_call)


def recipe_of(name: str, *, from_call: bool = False) -> RecipeSource:
    """Return where a model's recipe is, without torch; the names of timm's models are not looked up.

    Raises:
        UsageError, FerError: as `find_model`.
    """
    spec = find_declared(name, from_call=from_call)
    return DEFAULT_RECIPE if spec is None else spec.recipe_file


def create_model(name: str, classes: int, **options: Any) -> nn.Module:
    """Build a model with random weights (torch's default generator draws them).

    Args:
        name: As `find_model` takes it.
        classes: Number of emotions.
        options: The model's options, such as `attention_at`; `reduced=True` for its small variant.

    Returns:
        A module from (B, channels, H, W) floats to (B, classes) logits.

    Raises:
        UsageError: there is no such model or option.
        FerError: a plugin's function fails, or returns something else.
    """
    spec = find_model(name)
    own = spec.check_options(options)
    arguments = {**spec.arguments, **(spec.reduced if own.pop("reduced", False) else {})}
    if name in REGISTRY.own or name.startswith(TIMM):
        model: nn.Module = resolve(spec.build)(classes=classes, **arguments, **own)
        return model
    return _build_plugin(spec, {"classes": classes, **arguments, **own})


def _build_plugin(spec: ModelSpec, arguments: dict[str, Any]) -> nn.Module:
    from torch.nn import Module

    try:
        model = resolve(spec.build)(**arguments)
    except Exception as error:  # whatever the code of others raises
        raise FerError(f"model {spec.name}: building it failed ({type(error).__name__}: {error})") from error
    if not isinstance(model, Module):
        raise FerError(f"model {spec.name}: its build function returned {type(model).__name__}, not an nn.Module")
    return model


def rename_state(spec: ModelSpec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state_dict under a model's own names where it came under its authors' (or a library's)."""
    renamed: dict[str, Tensor] | None = resolve(spec.rename)(state) if spec.rename else None
    return state if renamed is None else renamed
