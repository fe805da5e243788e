"""Recipes: one TOML file per model, with its paper's training settings and claims. Imported without torch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from fercli.errors import FerError, format_validation_error
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


RecipeSource = str | Path | Mapping[str, Any]
"""A recipe: the stem of a file here, the path of a TOML file, or its content, complete or only the settings."""


def load_recipe(source: RecipeSource) -> Recipe:
    """Return a model's recipe (`ModelSpec.recipe_file`).

    Raises:
        FerError: the file is missing or invalid (a fault of this installation, or of the plugin that refers to it).
    """
    try:
        return Recipe.model_validate(_content(source))
    except ValidationError as error:
        raise FerError(f"recipe {_label(source)}: {format_validation_error(error)}") from error


def recipe_settings(source: RecipeSource) -> dict[str, Any]:
    """Return a recipe's training settings as written, without defaults.

    Raises:
        FerError: as `load_recipe`.
    """
    settings = _content(source).get("train")
    if not isinstance(settings, Mapping):
        raise FerError(f"recipe {_label(source)}: has no table [train] of settings")
    return dict(settings)


def _content(source: RecipeSource) -> Mapping[str, Any]:
    if not isinstance(source, Mapping):
        return _read(source)
    return source if "train" in source else {"source": "the model's package", "train": source}


def _label(source: RecipeSource) -> str:
    if isinstance(source, Mapping):
        return "of the model's package"
    return str(source) if _is_path(source) else f"{source}.toml"


def _is_path(source: str | Path) -> bool:
    return str(source).endswith(".toml")


@cache
def _read(source: str | Path) -> dict[str, Any]:
    file = Path(source) if _is_path(source) else resources.files("fercli.recipes").joinpath(f"{source}.toml")
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "" if _is_path(source) else "; reinstall fercli"
        raise FerError(f"recipe {_label(source)}: {reason}{hint}") from error
