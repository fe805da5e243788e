"""Recipes: one TOML file a model, with its paper's training settings and its claim. Read without torch."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from fercli.errors import FerError
from fercli.recipes.settings import Augmentation, Settings

__all__ = ["Augmentation", "Claim", "Recipe", "Settings", "load_recipe", "recipe_settings"]


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
