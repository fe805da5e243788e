"""The options of `fer balance`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from fercli.datasets.index import SPLITS
from fercli.errors import UsageError, did_you_mean
from fercli.faces.cropping import MARGIN
from fercli.generation.prompts.sampling import SEED_STEP
from fercli.stages.balance.methods.registry import METHODS, SPECIAL
from fercli.stages.balance.policies import parse_policy
from fercli.stages.balance.targets import TARGETS
from fercli.stages.base import Accepts, Cli, StageConfig
from fercli.stages.options import (
    Detector,
    DetectorWeights,
    Device,
    Engine,
    Margin,
    Overwrite,
    RayAddress,
    Seed,
    Workers,
    path_text,
)


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
    """Fill up the small classes of a dataset, or plan with what a published one would be filled up."""

    stage: ClassVar[str] = "balance"
    kind: ClassVar[str] = "dataset"

    dataset: Annotated[
        Path | None,
        Field(description="The dataset to fill up, or a plan to run; without one, TARGET's counts are planned for."),
        Cli(argument=True, metavar="DATASET", in_key=False),
    ] = None
    out: Annotated[
        Path | None,
        Field(description="Output path of the artifact; without DATASET use --out."),
        Cli(argument=True, flag=True, metavar="OUT", in_key=False),
    ] = None
    target: Annotated[
        str | None,
        BeforeValidator(_target),
        Field(
            description=f"Published dataset whose format the images get: {', '.join(TARGETS)} (default: the images' "
            "own). Without DATASET its counts are planned for."
        ),
        Cli(metavar="NAME"),
    ] = None
    method: Annotated[
        str | None,
        BeforeValidator(_method),
        Field(
            description="How images are made: " + "; ".join(f"{m.name}: {m.title}" for m in METHODS.values()) + " "
            "(default: augment; generate for a plan)."
        ),
        Cli(metavar="METHOD"),
    ] = None
    policy: Annotated[
        str,
        BeforeValidator(_policy),
        Accepts(str | int),
        Field(
            description="level: every class to its split's largest; augment-counts: to 78.6 % of it (FER2013: 5,670); "
            "ratio: x 1.35, disgust x 2.16; a whole number: every class to that many. No class is made smaller."
        ),
        Cli(metavar="POLICY"),
    ] = "level"
    splits: Annotated[
        str,
        BeforeValidator(_splits),
        Accepts(str | Sequence[str]),
        Field(description="Splits to fill, with commas; a balanced validation or test split is another benchmark."),
        Cli(metavar="SPLITS"),
    ] = "train"
    augment_share: Annotated[
        float, Field(ge=0, le=1, description="Mix: share of what is missing that is made by augmentation.")
    ] = 0.5
    generator: Annotated[
        str,
        PlainValidator(path_text),
        Field(description="Stable Diffusion or SDXL: a folder in diffusers' layout, or a hub's name."),
        Cli(metavar="NAME", in_key=False, path=True),
    ] = "SG161222/Realistic_Vision_V6.0_B1_noVAE"
    revision: Annotated[
        str | None,
        Field(description="Commit, tag or branch of the hub's generator; the commit is recorded."),
        Cli(metavar="COMMIT", in_key=False),
    ] = None
    plan: Annotated[
        Path | None,
        Field(description="Run these prompts, a plan's or a prompts.jsonl, instead of drawing some by the policy."),
        Cli(metavar="PLAN", in_key=False),
    ] = None
    steps: Annotated[int, Field(ge=1, le=1000, description="Denoising steps.")] = 40
    guidance: Annotated[float, Field(ge=0, le=100, description="How closely images follow their prompts.")] = 5.5
    image_size: Annotated[
        int, Field(ge=64, le=2048, multiple_of=8, description="Side of the images before faces are cut out, pixels.")
    ] = 512
    scheduler: Annotated[
        Literal["default", "dpm++", "unipc", "euler", "ddim"],
        Field(description="Sampler; dpm++ and unipc need half the steps or fewer."),
    ] = "default"
    batch_size: Annotated[
        int | None, Field(ge=1, le=1024, description="Images at a time (default: by free memory)."), Cli(in_key=False)
    ] = None
    tries: Annotated[int, Field(ge=1, le=SEED_STEP, description="Images drawn at most for one prompt.")] = 10
    detector: Detector = None
    weights: DetectorWeights = None
    margin: Margin = MARGIN
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
    judge: Annotated[
        Path | None,
        Field(description="A run or checkpoint that tells how well what was generated shows its emotions."),
        Cli(metavar="CHECKPOINT", in_key=False),
    ] = None
    keep_anyway: Annotated[
        bool, Field(description="Keep generated images that do not look like the faces of train."), Cli(in_key=False)
    ] = False
    engine: Engine = "local"
    seed: Seed = 0
    ray_address: RayAddress = None
    device: Device = "auto"
    workers: Workers = None
    overwrite: Overwrite = False

    def options(self) -> dict[str, Any]:
        """Return the options that count, without those that the method has no use for."""
        own = METHODS[self.method].options if self.method else frozenset()
        return {name: value for name, value in super().options().items() if name in own or name not in SPECIAL}

    def check_use(self) -> None:
        """Raise UsageError where an option was given that the method has no use for."""
        assert self.method is not None
        for name in sorted(self.model_fields_set & (SPECIAL - METHODS[self.method].options)):
            users = " or ".join(method.name for method in METHODS.values() if name in method.options)
            raise UsageError(f"--{name.replace('_', '-')}: --method {self.method} has no use for it, only {users}")
