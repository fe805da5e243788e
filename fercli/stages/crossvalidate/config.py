"""Options of crossvalidate: those of train, and how the folds are made and run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from fercli.stages.base import Accepts, Cli
from fercli.stages.options import Out, Overwrite, Workers, policy_name, split_names
from fercli.stages.train_jobs import JobOptions
from fercli.stages.train_options import TrainOptions

FIVE_BY_TWO = {"folds": 2, "repeats": 5}
"""The folds and repeats of the scheme 5x2 (Dietterich 1998)."""


def _parse_rates(value: Any) -> tuple[float, ...]:
    """Parse `0,0.1,0.2` to ascending rates; 0 alone is no noise."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    try:
        rates = sorted(float(item) for item in items)
    except (TypeError, ValueError):
        rates = [math.nan]
    if not all(0 <= rate < 1 for rate in rates):
        raise ValueError("rates from 0 to below 1, comma-separated, such as 0,0.1,0.2")
    for one, other in pairwise(rates):
        if one == other:
            raise ValueError(f"rate {one:g} is given twice")
    return () if rates == [0.0] else tuple(rates)


class CrossvalidateConfig(JobOptions):
    """Options of crossvalidate."""

    stage: ClassVar[str] = "crossvalidate"
    kind: ClassVar[str] = "crossvalidation"

    dataset: Annotated[
        Path | None, Field(description="A dataset."), Cli(argument=True, metavar="DATASET", in_key=False)
    ] = None
    out: Out = None
    folds: Annotated[int, Field(ge=2, le=1000, description="Number of folds; each is the test set once.")] = 10
    repeats: Annotated[int, Field(ge=1, le=1000, description="Number of repeats, each with other folds.")] = 1
    scheme: Annotated[
        Literal["kfold", "5x2"],
        Field(description="5x2 is 5 repeats of 2 folds (Dietterich 1998), for a paired test of two models"),
    ] = "kfold"
    stratify: Annotated[
        bool, Field(description="Distribute each emotion over the folds as equally as the groups allow.")
    ] = True
    fold_seed: Annotated[
        int,
        Field(
            ge=0,
            lt=2**32,
            description="Seed of the folds, which depend on it and the images alone: models with equal fold seeds are "
            "tested on equal folds. With 0, a dataset imported with as many folds keeps its own.",
        ),
    ] = 0
    splits: Annotated[
        str,
        BeforeValidator(split_names),
        Accepts(str | Sequence[str]),
        Field(description="Splits whose images are used, comma-separated; the others are never read."),
        Cli(metavar="SPLITS"),
    ] = "train,validation"
    validation: Annotated[
        float,
        Field(
            gt=0, le=0.5, description="Share of the images outside a fold on which the epoch is selected (never on it)."
        ),
    ] = 0.1
    balance: Annotated[
        str | None,
        BeforeValidator(policy_name),
        Accepts(str | int | None),
        Field(
            description="Fill up the small classes of each fold's train images, and of nothing else, by augmentation: "
            "a policy of fer balance, level, augment-counts, ratio or an integer (default: no balancing)."
        ),
        Cli(metavar="POLICY"),
    ] = None
    noise: Annotated[
        tuple[float, ...],
        BeforeValidator(_parse_rates, json_schema_input_type=str | float | Sequence[float]),
        Field(
            description="Label noise: swap the labels of this share of each fold's train images for another emotion, "
            "all others with equal probability (symmetric noise); validation and held-out images keep theirs. Several "
            "rates, comma-separated, such as 0,0.1,0.2, give the metrics by rate; each trains all folds."
        ),
        Cli(metavar="RATE,…", added=True),
    ] = ()
    size: Annotated[
        int | None,
        Field(ge=8, le=1024, description="Height and width of the packed images, pixels (default: the images' own)."),
    ] = None
    color: Annotated[Literal["gray", "rgb"] | None, Field(description="Colour; default: gray if all images are")] = None
    allow_leaks: Annotated[
        bool, Field(description="Also accept images that are equal once packed, but in different splits.")
    ] = False
    keep_packs: Annotated[
        bool, Field(description="Keep the packs of finished folds; otherwise only the runs remain."), Cli(in_key=False)
    ] = False
    jobs: Annotated[
        int, Field(ge=1, le=256, description="Folds to train at the same time, each in its own process."),
        Cli(in_key=False),
    ] = 1  # fmt: skip
    threads: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="CPU threads of each fold (default: torch's divided by jobs). On the CPU the rounding of sums "
            "depends on it: set it for results that are equal to the last bit with any number of jobs.",
        ),
        Cli(metavar="N", in_key=False),
    ] = None
    workers: Workers = None
    overwrite: Overwrite = False

    @model_validator(mode="before")
    @classmethod
    def _apply_scheme(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Set the folds and repeats of the scheme 5x2."""
        if values.get("scheme") != "5x2":
            return values
        for name, number in FIVE_BY_TWO.items():
            if str(values.get(name, number)) != str(number):
                raise ValueError(f"{name}: scheme 5x2 is 5 repeats of 2 folds; leave out {name}")
        return {**values, **FIVE_BY_TWO}

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates of label noise, ascending; the figures in front are those of the first."""
        return self.noise or (0.0,)

    def train_options(self) -> TrainOptions:
        """Return the options of each fold's training, as `fer train` has them."""
        # Already validated; a second validation would fill in the recipe's values for those set to None.
        return TrainOptions.model_construct(**{name: getattr(self, name) for name in TrainOptions.model_fields})
