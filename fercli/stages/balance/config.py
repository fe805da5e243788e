"""The options of `fer balance`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from fercli.errors import UsageError, did_you_mean
from fercli.faces.cropping import MARGIN
from fercli.generation.prompts.sampling import SEED_STEP
from fercli.stages.balance.methods.registry import METHODS, SPECIAL
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
    policy_name,
    split_names,
)


def _target(given: object) -> object:
    if isinstance(given, str) and given not in TARGETS:
        raise UsageError(did_you_mean("target", given, list(TARGETS)))
    return given


def _method(given: object) -> object:
    if isinstance(given, str) and given not in METHODS:
        raise UsageError(did_you_mean("method", given, list(METHODS)))
    return given


class BalanceConfig(StageConfig):
    """Fill up the small classes of a dataset, or plan how to fill up a published one."""

    stage: ClassVar[str] = "balance"
    kind: ClassVar[str] = "dataset"

    dataset: Annotated[
        Path | None,
        Field(description="Dataset to balance, or plan to run (default: plan from the published counts of --target)."),
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
            description=f"Published dataset to whose format images are converted: {', '.join(TARGETS)} (default: no "
            "conversion). Without DATASET, plan from its counts."
        ),
        Cli(metavar="NAME"),
    ] = None
    method: Annotated[
        str | None,
        BeforeValidator(_method),
        Field(
            description="How images are created. " + "; ".join(f"{m.name}: {m.title}" for m in METHODS.values()) + " "
            "(default: augment; generate for a plan)."
        ),
        Cli(metavar="METHOD"),
    ] = None
    policy: Annotated[
        str,
        BeforeValidator(policy_name),
        Accepts(str | int),
        Field(
            description="Target class sizes. level: the largest class of the split; augment-counts: 78.6 % of it "
            "(FER2013: 5,670); ratio: x 1.35, disgust x 2.16; an integer: that many. No class is reduced."
        ),
        Cli(metavar="POLICY"),
    ] = "level"
    splits: Annotated[
        str,
        BeforeValidator(split_names),
        Accepts(str | Sequence[str]),
        Field(description="Splits to fill, comma-separated; a balanced validation or test split is another benchmark."),
        Cli(metavar="SPLITS"),
    ] = "train"
    augment_share: Annotated[
        float, Field(ge=0, le=1, description="mix: share of the missing images that is created by augmentation.")
    ] = 0.5
    generator: Annotated[
        str,
        PlainValidator(path_text),
        Field(description="Stable Diffusion or SDXL model: a folder in diffusers' layout, or a name on the hub."),
        Cli(metavar="NAME", in_key=False, path=True),
    ] = "SG161222/Realistic_Vision_V6.0_B1_noVAE"
    revision: Annotated[
        str | None,
        Field(description="Commit, tag or branch of a generator on the hub; the commit is recorded."),
        Cli(metavar="COMMIT", in_key=False),
    ] = None
    plan: Annotated[
        Path | None,
        Field(description="Plan or prompts.jsonl whose prompts to use, instead of sampling them by the policy."),
        Cli(metavar="PLAN", in_key=False),
    ] = None
    steps: Annotated[int, Field(ge=1, le=1000, description="Denoising steps.")] = 40
    guidance: Annotated[float, Field(ge=0, le=100, description="Guidance scale.")] = 5.5
    image_size: Annotated[
        int, Field(ge=64, le=2048, multiple_of=8, description="Side of images before cropping, pixels.")
    ] = 512
    scheduler: Annotated[
        Literal["default", "dpm++", "unipc", "euler", "ddim"],
        Field(description="Scheduler; dpm++ and unipc need at most half the steps"),
    ] = "default"
    batch_size: Annotated[
        int | None, Field(ge=1, le=1024, description="Images per batch (default: by free memory)."), Cli(in_key=False)
    ] = None
    tries: Annotated[int, Field(ge=1, le=SEED_STEP, description="Maximum number of images per prompt.")] = 10
    detector: Detector = None
    weights: DetectorWeights = None
    margin: Margin = MARGIN
    gan_steps: Annotated[
        int, Field(ge=1, le=10_000_000, description="gan: training steps; with fewer, faces are less distinct.")
    ] = 40_000
    gan_batch: Annotated[int, Field(ge=2, le=4096, description="gan: faces per step, equally many of each class.")] = 64
    gan_width: Annotated[
        int,
        Field(ge=4, le=256, description="gan: channels of the narrowest layers; the widest have eight times as many."),
    ] = 64
    gan_truncation: Annotated[
        float | None,
        Field(
            ge=0.1,
            le=10,
            description="gan: bound of the noise; lower: fewer artefacts, less variety (default: none).",
        ),
    ] = None
    judge: Annotated[
        Path | None,
        Field(description="Run or checkpoint that judges how well generated images show their emotions."),
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
        """Return the options that are part of the key, without those that the method does not use."""
        own = METHODS[self.method].options if self.method else frozenset()
        return {name: value for name, value in super().options().items() if name in own or name not in SPECIAL}

    def check_use(self) -> None:
        """Raise UsageError if an option was given that the method does not use."""
        assert self.method is not None
        for name in sorted(self.model_fields_set & (SPECIAL - METHODS[self.method].options)):
            users = " or ".join(method.name for method in METHODS.values() if name in method.options)
            raise UsageError(f"--{name.replace('_', '-')}: not used by --method {self.method}, only by {users}")
