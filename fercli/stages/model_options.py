"""Model-specific options, added to the configs of stages that build a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model, model_validator

from fercli.models.options import option_names, read_options
from fercli.models.registry import find_model
from fercli.models.spec import Options, parse_options
from fercli.stages.base import Cli, StageConfig


class ModelOptions(StageConfig):
    """Base of configs with model-specific options; `model_options` adds a field for each."""

    if TYPE_CHECKING:
        option: tuple[str, ...]
        reduced: bool

    @model_validator(mode="before")
    @classmethod
    def _sort_options(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Normalise `option`; pairs that have a field of their own are moved there."""
        if not (given := values.get("option")):
            return values
        pairs = read_options([given] if isinstance(given, str) else given)
        own = {name: value for name, value in pairs.items() if name in option_names()}
        rest = tuple(f"{name}={value}" for name, value in sorted(pairs.items()) if name not in own)
        return {**values, **own, "option": rest}

    def given_options(self) -> Options:
        """Return the given model-specific options by name."""
        fields = {name: getattr(self, name) for name in option_names()}
        given = {name: value for name, value in fields.items() if value} | parse_options(read_options(self.option))
        return {**given, "reduced": True} if self.reduced else given

    def model_options(self) -> Options:
        """Return the validated model-specific options, including defaults.

        Raises:
            UsageError: there is no such model, or it has no such option or value.
        """
        return find_model(getattr(self, "model", None) or "", from_call=True).check_options(self.given_options())


def model_options(prefix: str = "", *, added: bool = False) -> Any:
    """Return a config base class with a field for each model-specific option of fercli's models.

    Args:
        prefix: Prefix of their help texts.
        added: See `Cli.added`.
    """
    cli = Cli(added=added)
    fields: dict[str, Any] = {
        "model": (str | None, None),  # only fixes its position in help; the config defines it
        **{
            name: (Annotated[str | None, Field(description=prefix + text), cli], None)
            for name, text in option_names().items()
        },
        "option": (
            Annotated[
                tuple[str, ...],
                Field(description=f"{prefix}Model-specific option, as listed by fer models MODEL."),
                Cli(metavar="NAME=VALUE", added=True),
            ],
            (),
        ),
    }
    return create_model("ModelOptions", __base__=ModelOptions, __module__=__name__, **fields)


__all__ = ["ModelOptions", "model_options"]
