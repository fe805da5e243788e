"""Recipes: one TOML file a model, with its paper's training settings and its claim. Read without torch."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fercli.errors import FerError
from fercli.recipes.settings import Augmentation, Settings

__all__ = ["Augmentation", "Claim", "Recipe", "Settings", "load_recipe", "recipe_settings"]


class Claim(BaseModel):
    """What a model's authors report, and what is known about it.

    Attributes:
        dataset: The data set.
        split: The split it was measured on.
        accuracy: Percent.
        source: Where it is printed.
        protocol: How it was measured, as far as it is told.
        note: What is known about it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    split: str
    accuracy: float
    source: str
    protocol: str
    note: str = ""


class Recipe(BaseModel):
    """One recipe file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    train: Settings
    claim: Claim | None = None


def load_recipe(model: str) -> Recipe:
    """Return a model's recipe.

    Raises:
        FerError: the file is missing or wrong (a fault of this installation).
    """
    try:
        return Recipe.model_validate(_read(model))
    except ValidationError as error:
        raise FerError(f"recipe {model}.toml: {error}") from error


def recipe_settings(model: str) -> dict[str, Any]:
    """Return a recipe's training settings as written, without defaults."""
    settings: dict[str, Any] = _read(model)["train"]
    return settings


def _read(model: str) -> dict[str, Any]:
    try:
        return tomllib.loads(resources.files("fercli.recipes").joinpath(f"{model}.toml").read_text("utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError) as error:
        raise FerError(f"recipe {model}.toml: {error}; install fercli anew") from error
