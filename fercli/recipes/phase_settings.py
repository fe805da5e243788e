"""Settings of one training phase, set by recipes and overridden on the command line. Imported without torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fercli.recipes.values import Freeze, ProgressiveSizes

Optimiser = Literal["sgd", "adam", "adamw", "rmsprop", "radam", "ranger-adabelief", "muon"]
AffectLosses = Literal["mse+ccc", "ccc", "mse"]
Schedule = Literal["constant", "step", "plateau", "cosine", "one-cycle", "cyclic", "warm-restarts", "inverse-time"]

SMALLEST_ALPHA = 0.05
"""Of MixUp and CutMix: below it the samples of a beta distribution underflow in float32."""


@dataclass(frozen=True)
class Added:
    """Marks a setting that was added later: at its default it is not in the key, so existing runs stay up to date."""


class Augmentation(BaseModel):
    """Random augmentation of each training face. Zero turns a transform off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: Annotated[float, Field(ge=0, le=1, description="Probability of a horizontal flip.")] = 0.5
    alternating_flip: Annotated[
        bool, Field(description="Flip each face in every other epoch, instead of at random.")
    ] = False
    rotation: Annotated[float, Field(ge=0, le=180, description="Maximum rotation, degrees.")] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1, description="Maximum relative change of size.")] = 0.0
    shift: Annotated[float, Field(ge=0, le=1, description="Maximum shift, as a fraction of the side.")] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1, description="Maximum change of brightness (pixels in 0..1).")] = 0.0
    contrast: Annotated[float, Field(ge=0, le=1, description="Maximum relative change of contrast.")] = 0.0
    erasing: Annotated[float, Field(ge=0, le=1, description="Probability of erasing 2 to 20 % of a face.")] = 0.0


class PhaseSettings(Augmentation):
    """Hyperparameters of one phase of a training."""

    mixup: Annotated[
        float,
        Field(
            ge=0, le=100, description="Alpha of MixUp (0: off); with cutmix too, each batch uses one of them at random."
        ),
    ] = 0.0
    cutmix: Annotated[float, Field(ge=0, le=100, description="Alpha of CutMix (0: off).")] = 0.0
    epochs: Annotated[int, Field(ge=1, le=10_000, description="Epochs to train.")] = 50
    batch_size: Annotated[int, Field(ge=2, le=65_536, description="Faces per step.")] = 32
    optimizer: Annotated[Optimiser, Field(description="Optimiser.")] = "sgd"
    lr: Annotated[float, Field(gt=0, le=100, description="Learning rate (its peak, if the schedule varies).")]
    momentum: Annotated[float, Field(ge=0, lt=1, description="Momentum of sgd, rmsprop and muon.")] = 0.9
    nesterov: Annotated[bool, Field(description="Nesterov momentum, for sgd.")] = False
    weight_decay: Annotated[
        float,
        Field(ge=0, description="L2 penalty; decoupled weight decay for adamw, radam and ranger-adabelief."),
    ] = 0.0
    decay_norm_bias: Annotated[bool, Field(description="Apply weight decay to biases and norm layers too.")] = True
    l1: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="L1 penalty on weights with more than one dimension.")
    ] = 0.0
    schedule: Annotated[Schedule, Field(description="Learning rate schedule.")] = "constant"
    warmup: Annotated[float, Field(ge=0, le=1, description="Share of the steps in which one-cycle rises.")] = 0.3
    step_size: Annotated[int, Field(ge=1, description="Epochs between the decays of step.")] = 10
    gamma: Annotated[float, Field(gt=0, lt=1, description="Decay factor of step and plateau.")] = 0.1
    plateau_patience: Annotated[int, Field(ge=0, description="Epochs without a lower loss before plateau decays.")] = 5
    cycle: Annotated[
        int, Field(ge=1, le=10_000, description="Epochs per cycle of cyclic (up and down) and warm-restarts.")
    ] = 10
    cycle_growth: Annotated[
        int, Field(ge=1, le=100, description="Factor by which the cycles of warm-restarts grow.")
    ] = 1
    lr_min: Annotated[
        float, Field(ge=0, description="Minimum learning rate of cyclic, warm-restarts, cosine and plateau.")
    ] = 0.0
    decay_rate: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="For inverse-time: lr / (1 + decay-rate x step / decay-steps)."),
    ] = 1.0
    decay_steps: Annotated[int, Field(ge=1, description="For inverse-time: steps, not epochs.")] = 1000
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="Label smoothing.")] = 0.0
    class_weights: Annotated[bool, Field(description="Weight classes by N / (classes x count).")] = False
    focal: Annotated[
        float,
        Field(ge=0, le=10, description="Gamma of the focal loss, which weights easy faces less (0: cross entropy)."),
        Added(),
    ] = 0.0
    logit_adjustment: Annotated[
        float,
        Field(
            ge=0, le=10, description="Tau of the logit-adjusted loss, for rare emotions (1: balanced accuracy; 0: off)."
        ),
        Added(),
    ] = 0.0
    attention_consistency: Annotated[
        float,
        Field(
            ge=0,
            le=1000,
            description="Weight of the difference between the class activation maps of a face and of its mirror image, "
            "against noisy labels; use it with erasing (0: off; its paper: 5).",
        ),
        Added(),
    ] = 0.0
    sam: Annotated[
        float,
        Field(ge=0, le=10, description="Rho of sharpness-aware minimisation; a step takes twice as long (0: off)."),
        Added(),
    ] = 0.0
    sam_every: Annotated[
        int, Field(ge=1, le=10_000, description="With sam: only every so many steps, the others are plain."), Added()
    ] = 1
    affect_weight: Annotated[
        float,
        Field(ge=0, le=100, description="With targets both: weight of the loss of valence and arousal."),
        Added(),
    ] = 1.0
    affect_loss: Annotated[
        AffectLosses,
        Field(
            description="With targets both: the loss of valence and arousal, the mean squared error, one minus the "
            "concordance (CCC) over a batch, or their sum."
        ),
        Added(),
    ] = "mse+ccc"
    dropout: Annotated[
        float | None,
        Field(ge=0, lt=1, description="Probability of the model's dropout layers (default: their own)."),
    ] = None
    freeze: Annotated[
        Freeze,
        Field(
            description="Parts to freeze, comma-separated: backbone (its weights and batch norm statistics, not its "
            "attention), norms (all batch norms); or none."
        ),
    ] = frozenset()
    clip_norm: Annotated[float, Field(ge=0, description="Maximum gradient norm (0: no clipping).")] = 0.0
    ema: Annotated[float, Field(ge=0, lt=1, description="Decay of the moving average of the weights (0: none).")] = 0.0
    patience: Annotated[
        int,
        Field(ge=0, description="Epochs without a better one until the phase stops (0: never)."),
    ] = 0
    progressive_sizes: Annotated[
        ProgressiveSizes,
        Field(
            description="Progressive resizing: successive sides in pixels, each with its share of the epochs, such as "
            "32=0.5,48=0.5 (default: the input size throughout).",
        ),
    ] = ()

    @field_validator("mixup", "cutmix")
    @classmethod
    def _check_alpha(cls, alpha: float) -> float:
        if 0 < alpha < SMALLEST_ALPHA:
            raise ValueError(f"should be 0 (none) or at least {SMALLEST_ALPHA}")
        return alpha

    @model_validator(mode="after")
    def _check_lr(self) -> Self:
        if self.lr_min > self.lr:
            raise ValueError(f"lr-min: should not be above lr, {self.lr:g} (given: {self.lr_min:g})")
        return self

    @model_validator(mode="after")
    def _check_rare_emotions(self) -> Self:
        if self.logit_adjustment and self.class_weights:
            raise ValueError("logit-adjustment: corrects for rare emotions, as class-weights does; use one of them")
        return self

    def size_at(self, epoch: int, input_size: int) -> int:
        """Return the input size in an epoch of the phase, from 0. The last epoch always has the last size."""
        total = 0.0
        for size, share in self.progressive_sizes[:-1]:
            total += share
            if epoch < min(round(total * self.epochs), self.epochs - 1):
                return size
        return self.progressive_sizes[-1][0] if self.progressive_sizes else input_size

    def cycle_ends(self) -> tuple[int, ...]:
        """Return the epochs of the phase, from 1, that end a cycle of its schedule; empty if it has no cycles."""
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
