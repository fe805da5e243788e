"""Options of tune."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, PrivateAttr

from fercli.errors import UsageError, format_validation_error
from fercli.models.options import option_names
from fercli.recipes import PhaseSettings
from fercli.recipes.spaces import DEFAULT, Choice, Dimension, Space, grid_points, named_spaces, read_space
from fercli.stages.base import Cli
from fercli.stages.options import Out, Overwrite, path_text
from fercli.stages.train_jobs import JobOptions
from fercli.stages.train_options import OF_PIXELS, TrainOptions, trains_on_features

Search = Literal["tpe", "random", "grid"]
Prune = Literal["median", "hyperband", "none"]
TRIALS = 50
"""Default number of trials; for a grid all its points."""


class TuneConfig(JobOptions):
    """Options of tune: those of a training, which all trials share, and those of the search."""

    stage: ClassVar[str] = "tune"
    kind: ClassVar[str] = "study"

    pack: Annotated[Path | None, Field(description="A pack."), Cli(argument=True, metavar="PACK", in_key=False)] = None
    out: Out = None
    space: Annotated[
        str,
        PlainValidator(path_text),
        Field(
            description=f"Settings to search and their values: a TOML file, or {', '.join(named_spaces())} "
            f"[default: {DEFAULT}]"
        ),
        Cli(metavar="FILE.toml|NAME", in_key=False, path=True),
    ] = DEFAULT
    search: Annotated[
        Search, Field(description="How to choose the points: tpe (learns from earlier trials), random, or grid (all).")
    ] = "tpe"
    trials: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000,
            description=f"Number of trials (default: {TRIALS}, for a grid all its points). A larger number continues a "
            "finished search.",
        ),
        Cli(in_key=False),
    ] = None
    prune: Annotated[
        Prune, Field(description="Stop trials early that do worse than others at the same share of their epochs.")
    ] = "median"
    search_seed: Annotated[int, Field(ge=0, lt=2**32, description="Random seed of the search.")] = 0
    noise: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Label noise, one rate: swap the labels of this share of the train images for another emotion, "
            "all others with equal probability, the same faces in all trials; validation keeps its labels. (fer "
            "crossvalidate takes several rates.)",
        ),
        Cli(metavar="RATE", added=True),
    ] = 0.0
    jobs: Annotated[
        int, Field(ge=1, le=256, description="Trials at once, each in a process of its own."), Cli(in_key=False)
    ] = 1
    keep: Annotated[
        int,
        Field(ge=1, description="Number of runs to keep, the best; of others only the figures."),
        Cli(in_key=False),
    ] = 5
    storage: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Database of the study, for several machines, such as postgresql://HOST/NAME (default: a file "
            "in OUT, which several processes and machines with a common disk share).",
        ),
        Cli(metavar="URL", in_key=False),
    ] = None
    overwrite: Overwrite = False

    _space: Space = PrivateAttr(default_factory=dict)

    @property
    def dimensions(self) -> Space:
        """The search space, as read on first use.

        Raises:
            UsageError: it is invalid, or its values are not valid settings of the model.
        """
        if not self._space:
            own = {name: getattr(self, name) for name in PhaseSettings.model_fields}
            space: dict[str, Dimension] = {}
            unused = OF_PIXELS if self.space == DEFAULT and trains_on_features(self.model) else ()
            for name, dimension in read_space(self.space, own, searchable()).items():
                if name in unused:
                    continue
                for value in dimension.values if isinstance(dimension, Choice) else dimension.ends:
                    options = self.trial_options({name: value})
                    options.model_options()
                space[name] = self._typed(name, dimension, isinstance(getattr(options, name, None), int))
            if self.search == "grid":
                next(grid_points(space))
            self._space = space
        return self._space

    def _typed(self, name: str, dimension: Dimension, whole: bool) -> Dimension:
        """Return a dimension whose range has whole numbers if the setting takes only these, and otherwise any."""
        if isinstance(dimension, Choice) or dimension.whole == whole:
            return dimension
        if whole:
            raise UsageError(
                f"space {self.space}: {name}: only whole numbers; write low, high and step without decimals"
            )
        return replace(dimension, low=float(dimension.low), high=float(dimension.high))

    def num_trials(self) -> int:
        """Return the number of trials to run."""
        points = sum(1 for _ in grid_points(self.dimensions)) if self.search == "grid" else None
        if points is None:
            return self.trials or TRIALS
        return min(self.trials or points, points)

    def trial_options(self, values: dict[str, Any]) -> TrainOptions:
        """Return the options of a trial: the shared ones, with the values of a point.

        Raises:
            UsageError: a value is invalid, or does not go with the other options.
        """
        shared = self.model_dump(mode="json", include=set(TrainOptions.model_fields))
        if "epochs" in values:
            shared["snapshots"] = None  # they refer to the shared number of epochs
        try:
            return TrainOptions(**{**{k: v for k, v in shared.items() if v is not None}, **values})
        except ValueError as error:
            raise UsageError(f"space {self.space}: {_reason(error)}") from error

    def options(self) -> dict[str, Any]:
        """Return the options that identify the study; the space by its content."""
        space = {name: repr(dimension) for name, dimension in self.dimensions.items()}
        return super().options() | {"space": space}


def searchable() -> list[str]:
    """Return the names of the settings that can be searched."""
    return [*PhaseSettings.model_fields, *option_names(), "input_size"]


def _reason(error: ValueError) -> str:
    from pydantic import ValidationError

    return format_validation_error(error) if isinstance(error, ValidationError) else str(error)
