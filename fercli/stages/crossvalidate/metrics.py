"""The metrics of a cross-validation: by fold, over the folds, and of all predictions together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fercli.artifacts.tables import write_csv
from fercli.metrics.confusion import Counts, classification_metrics, confusion_matrix
from fercli.metrics.intervals import wilson_interval
from fercli.metrics.resampling import corrected_interval
from fercli.sanitize import path_cell, word_cell
from fercli.stages.crossvalidate.fold import Fold, FoldPredictions, Plan
from fercli.stages.crossvalidate.summary import (
    CrossValidationSummary,
    FoldMetrics,
    NoiseRate,
    NoiseSummary,
    PooledMetrics,
    Spread,
)

FOLDS, TABLE, NOISE = "folds.csv", "predictions.csv", "noise.csv"
METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
COLUMNS = ("repeat", "fold", "train", "validation", "n", *METRICS, "run")

Results = Sequence[tuple[Fold, FoldPredictions]]


def summarise(plan: Plan, results: Results, notes: Sequence[str]) -> CrossValidationSummary:
    """Return the metrics of all folds.

    Args:
        plan: The plan.
        results: Each fold with its predictions, in order, at all rates of label noise.
        notes: What a reader of the metrics should know, a line each.
    """
    config, emotions = plan.config, plan.dataset.manifest.emotions
    front = [(fold, found) for fold, found in results if fold.in_front]
    matrices = [_confusion(found, len(emotions)) for _, found in front]
    per_fold = fold_metrics(front, emotions)
    n = len(plan.cross.rows)
    test_to_train = float(np.mean([one.n / (n - one.n) for one in per_fold]))
    return CrossValidationSummary(
        model=config.model,
        scheme=config.scheme,
        folds=config.folds,
        repeats=config.repeats,
        fold_seed=config.fold_seed,
        seed=config.seed,
        stratify=config.stratify,
        splits=config.splits.split(","),
        emotions=emotions,
        n=n,
        groups=len(set(plan.cross.groups)),
        imported_folds=plan.cross.imported,
        selection=f"best epoch by validation {config.select} in each fold",
        test_to_train=test_to_train,
        metrics=_spreads(per_fold, test_to_train),
        pooled=_pooled(sum(matrices[1:], matrices[0]), emotions, n),
        per_fold=per_fold,
        notes=list(notes),
        **({"noise": _by_rate(plan, results, test_to_train)} if config.noise else {}),
    )


def fold_metrics(results: Results, emotions: Sequence[str]) -> list[FoldMetrics]:
    """Return the metrics of each fold."""
    return [_of_fold(fold, found, _confusion(found, len(emotions)), emotions) for fold, found in results]


def _by_rate(plan: Plan, results: Results, test_to_train: float) -> NoiseSummary:
    """Return the metrics over the folds at each rate of label noise."""
    emotions, rates = plan.dataset.manifest.emotions, plan.config.rates
    found = [
        NoiseRate(
            rate=rate,
            metrics=_spreads(fold_metrics([one for one in results if one[0].rate == rate], emotions), test_to_train),
        )
        for rate in rates
    ]
    return NoiseSummary(rate=rates[0], seed=plan.config.fold_seed, rates=found)


def _spreads(per_fold: Sequence[FoldMetrics], test_to_train: float) -> dict[str, Spread]:
    return {name: _spread([one[name] for one in per_fold], test_to_train) for name in METRICS}


def write_tables(folder: Path, plan: Plan, results: Results, summary: CrossValidationSummary) -> None:
    """Write folds.csv and predictions.csv, and with several rates of label noise noise.csv."""
    write_csv(folder / FOLDS, COLUMNS, ([one[name] for name in COLUMNS] for one in summary.per_fold))
    names = [word_cell(emotion) for emotion in summary.emotions]
    write_csv(folder / TABLE, ["path", "repeat", "fold", "label", *names], _predictions(plan, results, names))
    if len(plan.config.rates) > 1:
        every = zip(results, fold_metrics(results, summary.emotions), strict=True)
        rows = ([fold.rate, *(one[name] for name in COLUMNS)] for (fold, _), one in every)
        write_csv(folder / NOISE, ["rate", *COLUMNS], rows)


def _predictions(plan: Plan, results: Results, names: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the rows of predictions.csv: in each repeat all images in the dataset's order."""
    for repeat in range(1, plan.config.repeats + 1):
        cells: dict[str, list[Any]] = {}
        for fold, found in results:
            if fold.in_front and fold.repeat == repeat:
                for path, label, row in zip(found.paths, found.labels, found.probabilities, strict=True):
                    own = [path_cell(path), repeat, fold.number, names[label]]
                    cells[path] = [*own, *(f"{value:.6f}" for value in row)]
        yield from (cells[row.path] for row in plan.cross.rows)


def _confusion(found: FoldPredictions, classes: int) -> Counts:
    return confusion_matrix(found.labels, found.probabilities.argmax(1), classes)


def _of_fold(fold: Fold, found: FoldPredictions, matrix: Counts, emotions: Sequence[str]) -> FoldMetrics:
    metrics = classification_metrics(matrix, emotions)
    return FoldMetrics(
        repeat=fold.repeat,
        fold=fold.number,
        train=found.train,
        validation=found.validation,
        n=len(found.labels),
        accuracy=metrics.accuracy,
        balanced_accuracy=metrics.balanced_accuracy,
        macro_f1=metrics.macro_f1,
        best_epoch=found.run.summary["best_epoch"],
        epochs=found.run.summary["epochs"],
        run=fold.run,
    )


def _spread(values: Sequence[float], test_to_train: float) -> Spread:
    low, high = corrected_interval(values, test_to_train)
    return Spread(
        mean=float(np.mean(values)), std=float(np.std(values, ddof=1)), interval=[max(0.0, low), min(1.0, high)]
    )


def _pooled(matrix: Counts, emotions: Sequence[str], n: int) -> PooledMetrics:
    """Return the metrics of all predictions; the interval is for n images, however often each was predicted."""
    metrics = classification_metrics(matrix, emotions).as_dict()
    return PooledMetrics(
        n=n,
        predictions=int(matrix.sum()),
        accuracy=metrics["accuracy"],
        accuracy_interval=list(wilson_interval(round(metrics["accuracy"] * n), n)),
        balanced_accuracy=metrics["balanced_accuracy"],
        macro_f1=metrics["macro_f1"],
        averaged_over=metrics["averaged_over"],
        per_class=metrics["per_class"],
        confusion=matrix.tolist(),
    )
