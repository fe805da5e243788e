"""The options of `fer balance`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from fercli.datasets.index import SPLITS
from fercli.errors import UsageError, did_you_mean
from fercli.stages.balance.methods import METHODS
from fercli.stages.balance.policies import parse_policy
from fercli.stages.balance.targets import TARGETS
from fercli.stages.base import Cli, Device, Overwrite, Seed, StageConfig, Workers


def _policy(given: object) -> object:
    return parse_policy(given) if isinstance(given, str | int) and not isinstance(given, bool) else given


def _target(given: object) -> object:
    if isinstance(given, str) and given not in TARGETS:
        raise UsageError(did_you_mean("target", given, list(TARGETS)))
    return given


def _method(given: object) -> object:
    if isinstance(given, str) and given not in METHODS:
        raise UsageError(did_you_mean("method", given, list(METHODS)))
    return given


def _splits(given: object) -> object:
    """Return the splits in order of rank, each once, with commas between them; from Python a sequence may come too."""
    if not isinstance(given, str | Sequence):
        return given
    names = [str(name).strip() for name in (given.split(",") if isinstance(given, str) else given)]
    for name in names:
        if name not in SPLITS:
            raise UsageError(did_you_mean("split", name, list(SPLITS)))
    if not names:
        raise UsageError(f"splits: name at least one of {', '.join(SPLITS)}")
    return ",".join(split for split in SPLITS if split in names)


class BalanceConfig(StageConfig):
    """Fill up the small classes of a data set, or plan with what a published one would be filled up."""

    stage: ClassVar[str] = "balance"
    kind: ClassVar[str] = "dataset"

    dataset: Annotated[
        Path | None,
        Field(description="The data set to fill up by augmentation; without one, a plan is made from TARGET's counts."),
        Cli(argument=True, metavar="DATASET", counts=False),
    ] = None
    out: Annotated[
        Path | None,
        Field(description="Where the artifact goes; without DATASET say it with --out."),
        Cli(argument=True, flag=True, metavar="OUT", counts=False),
    ] = None
    target: Annotated[
        str | None,
        BeforeValidator(_target),
        Field(
            description=f"Published data set whose format the images get: {', '.join(TARGETS)} (default: the images' "
            "own). Without DATASET its counts are planned for."
        ),
        Cli(metavar="NAME"),
    ] = None
    method: Annotated[
        str,
        BeforeValidator(_method),
        Field(description="; ".join(f"{method.name}: {method.title}" for method in METHODS.values()) + "."),
        Cli(metavar="METHOD"),
    ] = "augment"
    policy: Annotated[
        str,
        BeforeValidator(_policy),
        Field(
            description="level: every class to its split's largest; augment-counts: to 78.6 % of it (FER2013: 5,670); "
            "ratio: x 1.35, disgust x 2.16; a whole number: every class to that many. No class is made smaller."
        ),
        Cli(metavar="POLICY"),
    ] = "level"
    splits: Annotated[
        str,
        BeforeValidator(_splits),
        Field(description="Splits to fill, with commas; a balanced validation or test split is another benchmark."),
        Cli(metavar="SPLITS"),
    ] = "train"
    gan_steps: Annotated[
        int, Field(ge=1, le=10_000_000, description="gan: steps of the training; fewer give fainter faces.")
    ] = 40_000
    gan_batch: Annotated[int, Field(ge=2, le=4096, description="gan: faces a step, of every class as many.")] = 64
    gan_width: Annotated[
        int,
        Field(ge=4, le=256, description="gan: channels of the narrowest layers; the widest have eight times these."),
    ] = 64
    gan_truncation: Annotated[
        float | None,
        Field(ge=0.1, le=10, description="gan: bound of the noise; 1 makes plainer, more alike faces (default: none)."),
    ] = None
    seed: Seed = 0
    device: Device = "auto"
    workers: Workers = None
    overwrite: Overwrite = False
