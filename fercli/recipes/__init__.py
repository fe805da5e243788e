"""Recipes: one TOML file per model, with its paper's training settings and claims. Read without torch."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from fercli.errors import FerError
from fercli.recipes.phase_settings import Augmentation, PhaseSettings
from fercli.recipes.settings import Settings

__all__ = ["Augmentation", "Claim", "PhaseSettings", "Recipe", "Settings", "load_recipe", "recipe_settings"]


class Measurement(BaseModel):
    """What a paper measured on, and how.

    Attributes:
        dataset: The dataset.
        split: The split.
        source: Where the paper states it.
        protocol: How it was measured, as far as the paper says.
        note: What else is known about it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    split: str
    source: str
    protocol: str
    note: str = ""


class Claim(Measurement):
    """An accuracy that a paper reports for a model.

    Attributes:
        accuracy: Percent.
    """

    accuracy: float


class ClaimTable(Measurement):
    """A table of a paper: accuracies of several models, measured in the same way.

    Attributes:
        accuracy: Percent, by model.
    """

    accuracy: dict[str, float]


class Recipe(BaseModel):
    """One recipe file: how a model, or several models of a paper, are trained.

    Attributes:
        source: Where the settings come from.
        train: The settings.
        claim: The claim, if the file is for one model.
        claims: The claims by model, if the file is for several.
        tables: Claims for many models at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    train: Settings
    claim: Claim | None = None
    claims: dict[str, list[Claim]] = {}
    tables: list[ClaimTable] = []

    @field_validator("claims", mode="before")
    @classmethod
    def _as_lists(cls, claims: dict[str, Any]) -> dict[str, Any]:
        return {model: claim if isinstance(claim, list) else [claim] for model, claim in claims.items()}

    def claims_of(self, model: str) -> list[Claim]:
        """Return the claims for a model, its own paper's first."""
        if self.claim:
            return [self.claim]
        from_tables = [
            Claim(accuracy=table.accuracy[model], **table.model_dump(exclude={"accuracy"}))
            for table in self.tables
            if model in table.accuracy
        ]
        return [*self.claims.get(model, []), *from_tables]


def load_recipe(file: str) -> Recipe:
    """Load a recipe by the stem of its file (`ModelSpec.recipe_file`).

    Raises:
        FerError: the file is missing or invalid (a broken installation).
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
        raise FerError(f"recipe {file}.toml: {error}; reinstall fercli") from error
