"""Models by name. Read without torch, so that `fer models` answers at once.

`fercli.models.table` holds the models with names of their own, `fercli.models.naming` the rule for names that are put
together, and any classifier of timm goes by `timm/<name>`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fercli.errors import UsageError, did_you_mean
from fercli.models.naming import combinations, parse
from fercli.models.spec import ModelSpec
from fercli.models.table import TABLE

if TYPE_CHECKING:
    from torch import Tensor, nn

TIMM = "timm/"
"""What names of timm's classifiers begin with."""

MODELS: tuple[ModelSpec, ...] = (*TABLE, *combinations())
"""Every model but timm's."""
_BY_NAME = {spec.name: spec for spec in MODELS}


def find_model(name: str) -> ModelSpec:
    """Return a model's entry.

    Raises:
        UsageError: there is no such model, or its parts do not go together; the message names near ones.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith(TIMM):
        from fercli.models.timm_models import timm_spec

        return timm_spec(name.removeprefix(TIMM))
    parse(name)  # a backbone with a wrong attention or activation says what is wrong
    raise UsageError(did_you_mean("model", name, list(_BY_NAME), "fer models lists all"))


def create_model(name: str, classes: int, **options: Any) -> nn.Module:
    """Build a model with random weights (torch's default generator draws them).

    Args:
        name: A name of the table, one that is put together, or `timm/<name>`.
        classes: Number of emotions.
        options: The model's own, such as `attention_at`; `reduced="yes"` for the family's small member.

    Returns:
        A module from (B, channels, H, W) floats to (B, classes) logits.
    """
    spec = find_model(name)
    own = spec.check_options(options)
    arguments = {**spec.arguments, **(spec.reduced if own.pop("reduced", "no") == "yes" else {})}
    model: nn.Module = _function(spec.build)(classes=classes, **arguments, **own)
    return model


def rename_state(spec: ModelSpec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state_dict under a model's own names where it came under its authors' (or a library's)."""
    renamed: dict[str, Tensor] | None = _function(spec.rename)(state) if spec.rename else None
    return state if renamed is None else renamed


def _function(place: str) -> Any:
    module, function = place.split(":")
    return getattr(import_module(module), function)
