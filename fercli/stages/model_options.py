"""The options of the models themselves, as options of the stages that build a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model, model_validator

from fercli.models.options import option_names, read_options
from fercli.models.registry import find_model
from fercli.models.spec import Options, parse_options
from fercli.stages.base import Cli, StageConfig


class ModelOptions(StageConfig):
    """What a config that names a model has besides; made whole by `model_options`."""

    if TYPE_CHECKING:
        option: tuple[str, ...]
        reduced: bool

    @model_validator(mode="before")
    @classmethod
    def _sort_options(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Bring `option` into one form; what is an option of its own as well is taken as that."""
        if not (given := values.get("option")):
            return values
        pairs = read_options([given] if isinstance(given, str) else given)
        own = {name: value for name, value in pairs.items() if name in option_names()}
        rest = tuple(f"{name}={value}" for name, value in sorted(pairs.items()) if name not in own)
        return {**values, **own, "option": rest}

    def given_options(self) -> Options:
        """Return the model's own options that were given, by name."""
        fields = {name: getattr(self, name) for name in option_names()}
        given = {name: value for name, value in fields.items() if value} | parse_options(read_options(self.option))
        return {**given, "reduced": True} if self.reduced else given

    def model_options(self) -> Options:
        """Return the model's own options, checked, with defaults filled in.

        Raises:
            UsageError: there is no such model, or it has no such option or value.
        """
        return find_model(getattr(self, "model", None) or "", from_call=True).check_options(self.given_options())


def model_options(prefix: str = "", *, added: bool = False) -> Any:
    """Return the base of a config that names a model: a field for each option that a model of fercli's own has.

    Args:
        prefix: What their help begins with.
        added: As `Cli.added`.
    """
    cli = Cli(added=added)
    fields: dict[str, Any] = {
        "model": (str | None, None),  # here for the order in help; the config says what it is
        **{
            name: (Annotated[str | None, Field(description=prefix + text), cli], None)
            for name, text in option_names().items()
        },
        "option": (
            Annotated[
                tuple[str, ...],
                Field(description=f"{prefix}Any option of the model's own, as fer models MODEL lists them."),
                Cli(metavar="NAME=VALUE", added=True),
            ],
            (),
        ),
    }
    return create_model("ModelOptions", __base__=ModelOptions, __module__=__name__, **fields)


__all__ = ["ModelOptions", "model_options"]
