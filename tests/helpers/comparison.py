"""Evaluations and cross-validations with given predictions, as their stages write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fercli.artifacts import Artifact, Input
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.artifacts.tables import write_csv

EMOTIONS = ("happy", "sad", "neutral")


def predict(labels: np.ndarray, accuracy: float, seed: int, classes: int = 3) -> np.ndarray:
    """Return predicted classes of which about a share is right."""
    generator = np.random.default_rng(seed)
    return np.where(generator.random(len(labels)) < accuracy, labels, generator.integers(0, classes, len(labels)))


def probabilities(predicted: np.ndarray, classes: int = 3, seed: int = 0) -> np.ndarray:
    """Return probabilities whose largest is that of the predicted class."""
    values = np.random.default_rng([seed, *predicted[:8]]).random((len(predicted), classes))
    values[np.arange(len(predicted)), predicted] += 1
    return values / values.sum(1, keepdims=True)


def path_of(number: int, label: str, split: str = "test") -> str:
    return f"{split}/{label}/{number}.png"


def make_evaluation(
    folder: Path,
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    emotions: Sequence[str] = EMOTIONS,
    paths: Sequence[str] | None = None,
    split: str = "test",
    tta: str = "none",
    selection: str = "best of the epochs by validation accuracy",
    inputs: Sequence[Input] = (),
    **summary: Any,
) -> Artifact:
    """Build an evaluation with given predictions; the label names are those of `emotions`."""
    paths = paths or [path_of(number, emotions[label], split) for number, label in enumerate(labels)]
    with build(folder, "evaluation", "evaluate", options={"name": folder.name}, inputs=list(inputs)) as builder:
        file = builder.folder / "predictions.csv"
        rows = [
            [path, emotions[label], *(f"{value:.6f}" for value in row)]
            for path, label, row in zip(paths, labels, probabilities(predicted, len(emotions)), strict=True)
        ]
        write_csv(file, ["path", "label", *emotions], rows)
        own = {"split": split, "n": len(labels), "tta": tta, "selection": selection, "without_leaks": None}
        builder.finish(digest=digest_file(file), emotions=emotions, summary={**own, **summary})
    return builder.artifact


def make_cross_validation(
    folder: Path,
    labels: np.ndarray,
    predicted: np.ndarray,
    folds: np.ndarray,
    *,
    scheme: str = "kfold",
    train: int | None = None,
    options: Mapping[str, Any] | None = None,
    inputs: Sequence[Input] = (),
    emotions: Sequence[str] = EMOTIONS,
) -> Artifact:
    """Build a cross-validation of given predictions and folds, (repeats, N) each, folds from 1."""
    repeats, number = len(folds), int(folds.max())
    fields = {"name": folder.name, **(options or {})}
    with build(folder, "crossvalidation", "crossvalidate", options=fields, inputs=list(inputs)) as builder:
        rows, table = [], []
        for repeat in range(repeats):
            values = probabilities(predicted[repeat], len(emotions), repeat)
            for image, label in enumerate(labels):
                cells = [f"{value:.6f}" for value in values[image]]
                where = [path_of(image, emotions[label], "train"), repeat + 1, folds[repeat][image]]
                rows.append([*where, emotions[label], *cells])
            for fold in range(1, number + 1):
                held = folds[repeat] == fold
                accuracy = float((predicted[repeat] == labels)[held].mean())
                trained = train or int((~held).sum())
                table.append([repeat + 1, fold, trained, 5, int(held.sum()), accuracy, 0.5, 0.5, f"runs/{fold}"])
        write_csv(builder.folder / "predictions.csv", ["path", "repeat", "fold", "label", *emotions], rows)
        columns = ["repeat", "fold", "train", "validation", "n", "accuracy", "balanced_accuracy", "macro_f1", "run"]
        write_csv(builder.folder / "folds.csv", columns, table)
        digest = digest_file(builder.folder / "predictions.csv")
        builder.finish(digest=digest, emotions=emotions, summary={"scheme": scheme, "folds": number})
    return builder.artifact


def make_folds(repeats: int, number: int, count: int, seed: int = 0) -> np.ndarray:
    """Return random folds of equal size, from 1, (repeats, count)."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(np.arange(count) % number) + 1 for _ in range(repeats)])
