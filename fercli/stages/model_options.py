"""Model-specific options, added to the configs of stages that build a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model, model_validator

from fercli.models.options import option_names, read_options
from fercli.models.registry import find_model
from fercli.models.spec import Options, parse_options
from fercli.progress import Progress
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import WeightsEmotions

if TYPE_CHECKING:
    from fercli.models.checkpoints import Checkpoint


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


if TYPE_CHECKING:
    _OfWeights = ModelOptions
else:
    _OfWeights = model_options("With --weights: ", added=True)


class PublishedOptions(_OfWeights):
    """Base of configs that also take published weights of a known architecture, described by these options."""

    model: Annotated[
        str | None,
        Field(description="With --weights: their architecture, as listed by fer models."),
        Cli(added=True),
    ] = None
    reduced: Annotated[
        bool, Field(description="With --weights: the architecture is the small variant of its family."), Cli(added=True)
    ] = False
    input_size: Annotated[
        int | None,
        Field(ge=8, le=1024, description="With --weights: side of the model's input, pixels (default: the model's)."),
        Cli(added=True),
    ] = None
    weights_emotions: WeightsEmotions = None

    def load_weights(self, file: Path, progress: Progress) -> Checkpoint:
        """Load published weights, as these options describe them, and log what was assumed.

        Raises:
            UsageError: the model or an option is invalid.
            DataError: the weights are missing, corrupt, or of another model.
        """
        from fercli.models.published import load_published  # slow to import: torch

        order = self.weights_emotions.split(",") if self.weights_emotions else None
        checkpoint, messages = load_published(
            file, self.model or "", self.model_options(), order=order, input_size=self.input_size
        )
        for message in messages:
            progress.log(message)
        return checkpoint


OF_WEIGHTS = ("model", *option_names(), "option", "reduced", "input_size", "weights_emotions")
"""The fields that describe published weights; for a checkpoint its metadata does."""

__all__ = ["OF_WEIGHTS", "ModelOptions", "PublishedOptions", "model_options"]
