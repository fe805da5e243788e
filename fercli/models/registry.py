"""Models by name. Imported without torch, so that `fer models` is fast.

`fercli.models.table` has the models with fixed names, `fercli.models.naming` parses composed names; any classifier of
timm is `timm/<name>`, and the probe of any encoder of timm `probe/<name>`. Installed packages add models through entry
points of the group `fercli.models`, and a call can refer to one as `module:attribute`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fercli.errors import FerError
from fercli.models.naming import combinations, parse
from fercli.models.probes import PREFIX as PROBE
from fercli.models.spec import TIMM, ModelSpec
from fercli.models.table import TABLE
from fercli.recipes import RecipeSource
from fercli.registry import Registry, resolve

if TYPE_CHECKING:
    from torch import Tensor, nn

DEFAULT_RECIPE = "timm"
"""Stem of the recipe of models without their own: those of timm, and of plugins that specify none."""

MODELS: tuple[ModelSpec, ...] = (*TABLE, *combinations())
"""All built-in models, without timm's."""


def _adapt(name: str, plugin: Any) -> ModelSpec:
    """Return the spec of a plugin: a `ModelSpec`, or a function or class that builds a module for `classes`."""
    if isinstance(plugin, ModelSpec):
        return replace(plugin, name=name, recipe=plugin.recipe or DEFAULT_RECIPE)
    if callable(plugin):
        return ModelSpec(name=name, build=plugin, recipe=DEFAULT_RECIPE)
    raise TypeError(
        f"expected a ModelSpec, or a function of classes that returns an nn.Module, not {type(plugin).__name__}"
    )


REGISTRY = Registry("model", "fercli.models", {spec.name: spec for spec in MODELS}, _adapt, "fer models lists all")


def find_model(name: str, *, from_call: bool = False) -> ModelSpec:
    """Return the spec of a model.

    Args:
        name: A built-in or composed name, one of an installed package, `timm/<name>`, `probe/<name>`, or
            `module:attribute`.
        from_call: Whether the name comes from the user's call rather than a file such as a checkpoint: only then may it
            import a module that no installed package registers (see `fercli.registry`).

    Raises:
        UsageError: there is no such model, or the combination is not possible; the message suggests similar names.
        FerError: the package that provides it is broken.
    """
    if name.startswith(TIMM):
        from fercli.models.timm_models import timm_spec

        return timm_spec(name.removeprefix(TIMM))
    if name.startswith(PROBE):
        from fercli.models.probe import probe_spec

        return probe_spec(name.removeprefix(PROBE).removeprefix(TIMM))
    if name not in REGISTRY.own and name not in REGISTRY.names():
        parse(name)  # for a better message if a backbone has an invalid attention or activation
    return REGISTRY.find(name, from_call=from_call)


def find_declared(name: str, *, from_call: bool = False) -> ModelSpec | None:
    """Return the spec of a model; None for timm's, which must be built to determine theirs.

    Of a probe it is that of `probe`, which has all but what the encoder determines.

    Raises:
        UsageError, FerError: as `find_model`.
    """
    name = PROBE.removesuffix("/") if name.startswith(PROBE) else name
    return None if name.startswith(TIMM) else find_model(name, from_call=from_call)


def recipe_of(name: str, *, from_call: bool = False) -> RecipeSource:
    """Return the source of a model's recipe, without importing torch; names of timm's models are not checked.

    Raises:
        UsageError, FerError: as `find_model`.
    """
    spec = find_declared(name, from_call=from_call)
    return DEFAULT_RECIPE if spec is None else spec.recipe_file


def create_model(name: str, classes: int, **options: Any) -> nn.Module:
    """Build a model with random weights, from torch's default generator.

    Args:
        name: As in `find_model`.
        classes: Number of emotions.
        options: The model's options, such as `attention_at`; `reduced=True` for its small variant.

    Returns:
        A module from (B, channels, H, W) floats to (B, classes) logits.

    Raises:
        UsageError: there is no such model or option.
        FerError: a plugin's build function fails, or does not return a module.
    """
    spec = find_model(name)
    own = spec.check_options(options)
    arguments = {**spec.arguments, **(spec.reduced if own.pop("reduced", False) else {})}
    if name in REGISTRY.own or name.startswith((TIMM, PROBE)):
        model: nn.Module = resolve(spec.build)(classes=classes, **arguments, **own)
        return model
    return _build_plugin(spec, {"classes": classes, **arguments, **own})


def _build_plugin(spec: ModelSpec, arguments: dict[str, Any]) -> nn.Module:
    from torch.nn import Module

    try:
        model = resolve(spec.build)(**arguments)
    except Exception as error:  # third-party code may raise anything
        raise FerError(f"model {spec.name}: building it failed ({type(error).__name__}: {error})") from error
    if not isinstance(model, Module):
        raise FerError(f"model {spec.name}: its build function returned {type(model).__name__}, not an nn.Module")
    return model


def emotion_axes(spec: ModelSpec, options: Mapping[str, str | bool]) -> dict[str, int]:
    """Return which tensors of a model have one part per emotion, and along which axis."""
    import torch

    with torch.device("meta"):
        few, more = (create_model(spec.name, classes, **options).state_dict() for classes in (5, 6))
    return {
        name: axis
        for name, tensor in few.items()
        for axis, size in enumerate(tensor.shape)
        if size == 5 and more[name].shape[axis] == 6
    }


def rename_state(spec: ModelSpec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state_dict with the names of the authors' code or a library mapped to the model's."""
    renamed: dict[str, Tensor] | None = resolve(spec.rename)(state) if spec.rename else None
    return state if renamed is None else renamed
