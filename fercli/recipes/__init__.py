"""Recipes: one TOML file a model, with its paper's training settings and its claim. Read without torch."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fercli.errors import FerError

Optimiser = Literal["sgd", "adam", "adamw", "rmsprop", "radam", "muon"]
Schedule = Literal["constant", "step", "plateau", "cosine", "one-cycle"]


class Augmentation(BaseModel):
    """How far each training face may be changed. Zero turns a change off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: Annotated[float, Field(ge=0, le=1, description="Probability of mirroring a face.")] = 0.5
    flip_in_turn: Annotated[bool, Field(description="Mirror each face in every other epoch, instead of at random.")] = (
        False
    )
    rotation: Annotated[float, Field(ge=0, le=180, description="Largest turn either way, degrees.")] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1, description="Largest change of size either way, a share.")] = 0.0
    shift: Annotated[float, Field(ge=0, le=1, description="Largest shift either way, a share of the side.")] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1, description="Largest change of brightness, of 0..1.")] = 0.0
    contrast: Annotated[float, Field(ge=0, le=1, description="Largest change of contrast, a share.")] = 0.0
    erasing: Annotated[float, Field(ge=0, le=1, description="Probability of blanking 2 to 20 % of a face.")] = 0.0


class Settings(Augmentation):
    """How a model is trained."""

    epochs: Annotated[int, Field(ge=1, le=10_000, description="Passes over the training split.")] = 50
    batch_size: Annotated[int, Field(ge=2, le=65_536, description="Faces a step.")] = 32
    optimizer: Annotated[Optimiser, Field(description="How weights are moved.")] = "sgd"
    lr: Annotated[float, Field(gt=0, le=100, description="Learning rate (the highest, where the schedule has one).")]
    momentum: Annotated[float, Field(ge=0, lt=1, description="Momentum of sgd, rmsprop and muon.")] = 0.9
    nesterov: Annotated[bool, Field(description="Nesterov's momentum, for sgd.")] = False
    weight_decay: Annotated[float, Field(ge=0, description="L2 penalty.")] = 0.0
    decay_all: Annotated[bool, Field(description="Decay biases and norms too.")] = True
    schedule: Annotated[Schedule, Field(description="How the learning rate moves.")] = "constant"
    warmup: Annotated[float, Field(ge=0, le=1, description="Share of the steps that one-cycle rises for.")] = 0.3
    step_size: Annotated[int, Field(ge=1, description="Epochs between the steps of step.")] = 10
    gamma: Annotated[float, Field(gt=0, lt=1, description="Factor of step and plateau.")] = 0.1
    plateau_patience: Annotated[int, Field(ge=0, description="Epochs that plateau waits for a lower loss.")] = 5
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="Share of the target spread evenly.")] = 0.0
    class_weights: Annotated[bool, Field(description="Weigh each class by N / (classes x count).")] = False
    clip_norm: Annotated[float, Field(ge=0, description="Largest norm of the gradient (0: any).")] = 0.0
    ema: Annotated[float, Field(ge=0, lt=1, description="Decay of the weights' moving average (0: none).")] = 0.0
    patience: Annotated[int, Field(ge=0, description="Stop after so many epochs without a better one (0: never).")] = 0
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

    def stages(self) -> list[tuple[int, float]]:
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


class Measured(BaseModel):
    """On what, where and how a paper measured.

    Attributes:
        dataset: The data set.
        split: The split it was measured on.
        source: Where it is printed.
        protocol: How it was measured, as far as it is told.
        note: What is known about it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    split: str
    source: str
    protocol: str
    note: str = ""


class Claim(Measured):
    """What a model's authors report, and what is known about it.

    Attributes:
        accuracy: Percent.
    """

    accuracy: float


class ClaimTable(Measured):
    """A paper's table: what it reports of several models that it measured alike.

    Attributes:
        accuracy: Percent, by model.
    """

    accuracy: dict[str, float]


class Recipe(BaseModel):
    """One recipe file: how a model, or several of one paper, are trained.

    Attributes:
        source: Where the settings are printed.
        train: The settings.
        claim: What is claimed of the file's only model.
        claims: What is claimed of each model, where the file serves several.
        tables: The same of many models at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    train: Settings
    claim: Claim | None = None
    claims: dict[str, list[Claim]] = {}
    tables: list[ClaimTable] = []

    @field_validator("claims", mode="before")
    @classmethod
    def _one_or_several(cls, claims: dict[str, Any]) -> dict[str, Any]:
        return {model: found if isinstance(found, list) else [found] for model, found in claims.items()}

    def claims_of(self, model: str) -> list[Claim]:
        """Return what is claimed of a model, the best known first."""
        if self.claim:
            return [self.claim]
        tabled = [
            Claim(accuracy=table.accuracy[model], **table.model_dump(exclude={"accuracy"}))
            for table in self.tables
            if model in table.accuracy
        ]
        return [*self.claims.get(model, []), *tabled]

    def claimed_models(self) -> list[str]:
        """Return the models of which `claims` and `tables` tell, each once."""
        return list(dict.fromkeys([*self.claims, *(model for table in self.tables for model in table.accuracy)]))


def load_recipe(file: str) -> Recipe:
    """Return the recipe in a file, by its stem (`ModelSpec.recipe_file`).

    Raises:
        FerError: the file is missing or wrong (a fault of this installation).
    """
    try:
        return Recipe.model_validate(_read(file))
    except ValidationError as error:
        raise FerError(f"recipe {file}.toml: {error}") from error


def recipe_settings(file: str) -> dict[str, Any]:
    """Return a recipe's training settings as written, without defaults."""
    settings: dict[str, Any] = dict(_read(file)["train"])
    return settings


@cache
def _read(file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(resources.files("fercli.recipes").joinpath(f"{file}.toml").read_text("utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError) as error:
        raise FerError(f"recipe {file}.toml: {error}; install fercli anew") from error
