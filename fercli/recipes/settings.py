"""Training settings: what a recipe may say, and what the command line may say instead. Read without torch."""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fercli.errors import did_you_mean, format_validation_error
from fercli.recipes.phases import read_stage

Optimiser = Literal["sgd", "adam", "adamw", "rmsprop", "radam", "ranger-adabelief", "muon"]
Schedule = Literal["constant", "step", "plateau", "cosine", "one-cycle", "cyclic", "warm-restarts", "inverse-time"]

FREEZABLE = ("backbone", "norms")
SMALLEST_ALPHA = 0.05
"""Of MixUp and CutMix: below it the draws of a beta distribution vanish in float32."""


class Augmentation(BaseModel):
    """How far each training face may be changed. Zero turns a change off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: Annotated[float, Field(ge=0, le=1, description="Probability of mirroring a face.")] = 0.5
    alternating_flip: Annotated[
        bool, Field(description="Mirror each face in every other epoch, instead of at random.")
    ] = False
    rotation: Annotated[float, Field(ge=0, le=180, description="Largest turn either way, degrees.")] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1, description="Largest change of size either way, a share.")] = 0.0
    shift: Annotated[float, Field(ge=0, le=1, description="Largest shift either way, a share of the side.")] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1, description="Largest change of brightness, of 0..1.")] = 0.0
    contrast: Annotated[float, Field(ge=0, le=1, description="Largest change of contrast, a share.")] = 0.0
    erasing: Annotated[float, Field(ge=0, le=1, description="Probability of blanking 2 to 20 % of a face.")] = 0.0


class Settings(Augmentation):
    """How a model is trained."""

    mixup: Annotated[
        float,
        Field(ge=0, le=100, description="Alpha of MixUp (0: none); with cutmix too, each batch draws one of them."),
    ] = 0.0
    cutmix: Annotated[float, Field(ge=0, le=100, description="Alpha of CutMix (0: none).")] = 0.0
    epochs: Annotated[int, Field(ge=1, le=10_000, description="Passes over the training split.")] = 50
    batch_size: Annotated[int, Field(ge=2, le=65_536, description="Faces a step.")] = 32
    optimizer: Annotated[Optimiser, Field(description="How weights are moved.")] = "sgd"
    lr: Annotated[float, Field(gt=0, le=100, description="Learning rate (the highest, where the schedule has one).")]
    momentum: Annotated[float, Field(ge=0, lt=1, description="Momentum of sgd, rmsprop and muon.")] = 0.9
    nesterov: Annotated[bool, Field(description="Nesterov's momentum, for sgd.")] = False
    weight_decay: Annotated[
        float,
        Field(ge=0, description="L2 penalty; with adamw, radam and ranger-adabelief a decay apart from the gradient."),
    ] = 0.0
    decay_norm_bias: Annotated[bool, Field(description="Decay biases and norms too.")] = True
    l1: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="L1 penalty, on weights of more than one dimension.")
    ] = 0.0
    schedule: Annotated[Schedule, Field(description="How the learning rate moves.")] = "constant"
    warmup: Annotated[float, Field(ge=0, le=1, description="Share of the steps that one-cycle rises for.")] = 0.3
    step_size: Annotated[int, Field(ge=1, description="Epochs between the steps of step.")] = 10
    gamma: Annotated[float, Field(gt=0, lt=1, description="Factor of step and plateau.")] = 0.1
    plateau_patience: Annotated[int, Field(ge=0, description="Epochs that plateau waits for a lower loss.")] = 5
    cycle: Annotated[
        int, Field(ge=1, le=10_000, description="Epochs of a cycle of cyclic (up and down) and warm-restarts.")
    ] = 10
    cycle_growth: Annotated[
        int, Field(ge=1, le=100, description="How many times longer each next cycle of warm-restarts is.")
    ] = 1
    lr_min: Annotated[
        float, Field(ge=0, description="Lowest learning rate of cyclic, warm-restarts, cosine and plateau.")
    ] = 0.0
    decay_rate: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="Of inverse-time: lr / (1 + decay-rate x step / decay-steps)."),
    ] = 1.0
    decay_steps: Annotated[int, Field(ge=1, description="Of inverse-time: steps, not epochs.")] = 1000
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="Share of the target spread evenly.")] = 0.0
    class_weights: Annotated[bool, Field(description="Weigh each class by N / (classes x count).")] = False
    dropout: Annotated[
        float | None, Field(ge=0, lt=1, description="Probability of the model's dropout layers (default: their own).")
    ] = None
    freeze: Annotated[
        str,
        Field(
            description="What stays as it is, comma-separated: backbone (its weights and its batch norms' "
            "statistics, not the attention in it), "
            "norms (all batch norms); or none."
        ),
    ] = ""
    clip_norm: Annotated[float, Field(ge=0, description="Largest norm of the gradient (0: any).")] = 0.0
    ema: Annotated[float, Field(ge=0, lt=1, description="Decay of the weights' moving average (0: none).")] = 0.0
    patience: Annotated[
        int, Field(ge=0, description="Stop (the stage) after so many epochs without a better one (0: never).")
    ] = 0
    select: Annotated[
        Literal["accuracy", "macro_f1", "loss"], Field(description="Validation figure that chooses the best epoch.")
    ] = "accuracy"
    sizes: Annotated[
        str,
        Field(
            description="Sides in pixels to train at in turn with their shares of the epochs, as 32=0.5,48=0.5 "
            "(default: the input size alone).",
        ),
    ] = ""
    then: Annotated[
        tuple[str, ...],
        Field(
            description="A later stage of the training, from the best epoch so far, as epochs=9,lr=1e-5: "
            "what it says goes over the stage before it. May be given several times; it replaces the recipe's, and "
            "none leaves those out. All other flags set the first stage, and later ones where those do not differ: "
            "--epochs is the first one's."
        ),
    ] = ()
    snapshots: Annotated[
        str,
        Field(
            description="Epochs whose weights are kept too, for fer ensemble, as 30,40,50; or cycles: the end of each "
            "cycle of cyclic and warm-restarts; or none."
        ),
    ] = ""

    @field_validator("freeze", "snapshots", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        """Let none mean nothing, for a call that goes over a recipe."""
        return "" if isinstance(value, str) and value.strip() == "none" else value

    @field_validator("then", mode="before")
    @classmethod
    def _no_stages(cls, value: object) -> object:
        """Let one stage stand without a list around it, and none for no stage."""
        stages = [value] if isinstance(value, str) else value
        return () if stages in (["none"], ("none",)) else stages

    @field_validator("mixup", "cutmix")
    @classmethod
    def _check_alpha(cls, alpha: float) -> float:
        if 0 < alpha < SMALLEST_ALPHA:
            raise ValueError(f"should be 0 (none) or at least {SMALLEST_ALPHA}")
        return alpha

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        if self.lr_min > self.lr:
            raise ValueError(f"lr-min: should not be above lr, {self.lr:g} (given: {self.lr_min:g})")
        self.size_shares()
        _ = self.frozen
        self._check_snapshots()
        return self

    def size_shares(self) -> list[tuple[int, float]]:
        """Return `sizes` as sides, pixels, with their shares of the epochs.

        Raises:
            ValueError: it is not written so, a side is not within 8 to 1024, or the shares do not add up to 1.
        """
        try:
            pairs = [part.split("=") for part in self.sizes.split(",") if part]
            found = [(int(side), float(share)) for side, share in pairs]
        except ValueError:
            found = [(0, 0.0)]
        if found and not (all(8 <= side <= 1024 for side, _ in found) and abs(sum(s for _, s in found) - 1) < 1e-6):
            raise ValueError("sizes: sides from 8 to 1024 pixels with shares that add up to 1, as 32=0.5,48=0.5")
        return found

    def size_at(self, epoch: int, input_size: int) -> int:
        """Return the side to train at in an epoch of the stage (from 0). The last epoch always has the last one."""
        sizes, share = self.size_shares(), 0.0
        for side, part in sizes[:-1]:
            share += part
            if epoch < min(round(share * self.epochs), self.epochs - 1):
                return side
        return sizes[-1][0] if sizes else input_size

    @property
    def frozen(self) -> frozenset[str]:
        """What `freeze` names.

        Raises:
            ValueError: it names something else.
        """
        names = [name.strip() for name in self.freeze.split(",") if name.strip()]
        for name in names:
            if name not in FREEZABLE:
                raise ValueError(f"freeze: {did_you_mean('part', name, list(FREEZABLE))}")
        return frozenset(names)

    def plan(self) -> tuple[Settings, ...]:
        """Return the settings of all stages of the training: these, and those that `then` makes of them.

        Raises:
            ValueError: a later stage is not written as options with values, or one of them is wrong.
        """
        found: list[Settings] = [self]
        for number, text in enumerate(self.then, 2):
            before = {name: getattr(found[-1], name) for name in Settings.model_fields} | {"then": (), "snapshots": ""}
            try:
                changes, back = read_stage(text, tuple(Settings.model_fields))
                kept = {name: value for name, value in before.items() if name not in back}
                found.append(Settings.model_validate({**kept, **changes}))
            except ValidationError as error:
                raise ValueError(f"then: stage {number}: {format_validation_error(error)}") from error
            except ValueError as error:
                raise ValueError(f"then: stage {number}: {error}") from error
        return tuple(found)

    def cycle_ends(self) -> tuple[int, ...]:
        """Return the epochs of the stage, from 1, that end a cycle of its schedule; none for schedules without."""
        growth = {"cyclic": 1, "warm-restarts": self.cycle_growth}.get(self.schedule)
        if growth is None:
            return ()
        lengths = (self.cycle * growth**number for number in range(self.epochs))
        ends: list[int] = []
        for end in accumulate(lengths):
            if end > self.epochs:
                break
            ends.append(end)
        return tuple(ends)

    def snapshot_epochs(self) -> frozenset[int]:
        """Return the epochs that `snapshots` names by number, of the whole training from 1.

        Raises:
            ValueError: it is neither such numbers nor cycles.
        """
        if self.snapshots.strip() in ("", "cycles"):
            return frozenset()
        try:
            found = frozenset(int(part) for part in self.snapshots.split(","))
        except ValueError:
            found = frozenset({0})
        if min(found) < 1:
            raise ValueError(
                f"snapshots: epochs from 1 up, as 30,40,50, or cycles, or none (given: {self.snapshots!r})"
            )
        return found

    @property
    def snapshots_by_cycle(self) -> bool:
        """Whether a snapshot is taken at the end of each cycle."""
        return self.snapshots.strip() == "cycles"

    def _check_snapshots(self) -> None:
        plan, wanted = self.plan(), self.snapshot_epochs()
        last = sum(stage.epochs for stage in plan)
        if wanted and max(wanted) > last:
            raise ValueError(f"snapshots: epoch {max(wanted)} lies beyond the last one, {last}")
        if self.snapshots_by_cycle and not any(stage.cycle_ends() for stage in plan):
            if all(stage.schedule not in ("cyclic", "warm-restarts") for stage in plan):
                raise ValueError("snapshots: cycles are those of the schedules cyclic and warm-restarts; name epochs")
            raise ValueError(f"snapshots: no cycle of {self.cycle} epochs ends within the {last} of the training")
