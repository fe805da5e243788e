"""What is known about each artifact of a comparison: its predictions, its pack, its recipe, how it was selected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.key_metrics import mapping, non_negative_int, text
from fercli.artifacts.lineage import Ancestor, ancestors
from fercli.errors import DataError, FerError
from fercli.evaluation.folds import CrossValidation, read_cross_validation
from fercli.evaluation.reading import Predictions, read_predictions
from fercli.progress import Progress
from fercli.stages.compare.config import CompareConfig

Recipe = Mapping[str, str]
_NOT_RECIPE = ("seed", "out", "overwrite", "workers", "jobs", "device")


@dataclass(frozen=True)
class Member:
    """An artifact of a side.

    Attributes:
        artifact: The artifact.
        predictions: Its predictions.
        split: The split that they are of; empty for a cross-validation.
        tta: Test-time augmentation.
        selection: How its checkpoint was selected, for display.
        recipe: What it was trained with, without the seed: options, and the digest of the training pack.
        trained_on: How many of the images are known to have been trained on.
        pack: The pack that was predicted, if it still exists unchanged.
        validation: The cross-validation, if it is one.
    """

    artifact: Artifact
    predictions: Predictions
    split: str
    tta: str
    selection: str
    recipe: Recipe
    trained_on: int = 0
    pack: Artifact | None = None
    validation: CrossValidation | None = field(default=None, repr=False)


def read_member(artifact: Artifact, config: CompareConfig, progress: Progress) -> Member:
    """Read an artifact; of a run, predict its best checkpoint.

    Raises:
        DataError: its files are invalid, or the pack of a run is gone or changed.
    """
    summary, kind = artifact.summary, artifact.manifest.kind
    if kind == "crossvalidation":
        found = read_cross_validation(artifact)
        own = _plain(artifact.manifest.options)
        return Member(artifact, found.predictions, "", text(summary.get("tta")) or "none", "", own, validation=found)
    pack = pack_of(artifact)
    if kind == "run":
        from fercli.stages.compare.runs import predict_run

        if pack is None:
            raise DataError(f"{artifact.path}: its pack is gone or changed; evaluate it with fer evaluate RUN PACK")
        split = config.split or "validation"
        predictions = predict_run(artifact, pack, split, config, progress)
        chosen = f"{text(summary.get('selection'))} (epoch {summary.get('best_epoch')})"
        return Member(artifact, predictions, split, "none", chosen, _run_recipe(artifact), pack=pack)
    clean, n = mapping(summary.get("without_leaks")), non_negative_int(summary.get("n"))
    trained_on = 0 if n is None else n - (non_negative_int(clean.get("n", n)) or 0)
    return Member(
        artifact,
        read_predictions(artifact),
        text(summary.get("split")),
        text(summary.get("tta")),
        text(summary.get("selection")),
        _evaluation_recipe(artifact),
        max(0, trained_on),
        pack,
    )


def pack_of(artifact: Artifact) -> Artifact | None:
    """Return the pack that an artifact was directly made from, if it still exists unchanged."""
    for one in ancestors(artifact):
        if one.depth == 1 and one.input.kind == "pack" and one.state == "there":
            return open_artifact(one.path, "pack")
    return None


def _run_recipe(run: Artifact) -> Recipe:
    """Return the options of a training, without its seed, and the digests of its inputs."""
    inputs = {f"{one.name} (input)": one.digest[:12] for one in run.manifest.inputs}
    own: dict[str, Any] = {}
    with suppress(FerError):
        best = open_artifact(run.path / "best", "checkpoint")
        own = {"model": best.summary.get("architecture"), **best.manifest.options}
    return {**_plain({**own, **run.manifest.options}), **inputs}


def _evaluation_recipe(evaluation: Artifact) -> Recipe:
    """Return the recipe of an evaluation's checkpoint; of an ensemble its method and its members' recipes.

    If the runs are gone only the architectures that were recorded are known.
    """
    used = [one for one in ancestors(evaluation) if one.depth == 1 and one.input.name != "pack"]
    recipes = [_checkpoint_recipe(one) for one in used]
    if not all(recipes):
        return {"model": text(mapping(evaluation.manifest.details.get("origin")).get("model"))}
    if len(recipes) == 1:
        return recipes[0]
    own = {name: value for name, value in evaluation.manifest.options.items() if name in ("method", "select")}
    return {**_plain(own), "members": json.dumps(sorted(json.dumps(recipe, sort_keys=True) for recipe in recipes))}


def _checkpoint_recipe(checkpoint: Ancestor) -> Recipe:
    """Return the recipe of a checkpoint's run; published weights and fercli's own models have their name only."""
    if checkpoint.state == "raw":
        return {"model": checkpoint.path.name, "weights": checkpoint.input.digest[:12]}
    if checkpoint.state != "there":
        return {}
    try:
        return _run_recipe(open_artifact(checkpoint.path.parent, "run"))
    except FerError:
        m = checkpoint.manifest
        return {} if m is None else _plain({"model": m.summary.get("architecture"), **m.options})


def _plain(options: Mapping[str, Any]) -> Recipe:
    return {name: json.dumps(value) for name, value in options.items() if name not in _NOT_RECIPE}
