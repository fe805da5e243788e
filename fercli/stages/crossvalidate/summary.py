"""Summary of a cross-validation."""

from __future__ import annotations

from fercli.artifacts.summary import Summary
from fercli.evaluation.summary import ClassSummary


class FoldMetrics(Summary):
    """The metrics of one fold on its `n` held-out images; numbers of images it was trained and selected on.

    `repeat` and `fold` count from 1; `run` is the path of its run within the cross-validation.
    """

    repeat: int
    fold: int
    train: int
    validation: int
    n: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    best_epoch: int
    epochs: int
    run: str


class Spread(Summary):
    """A metric over the folds of all repeats: mean, standard deviation (n - 1) and 95 % interval [low, high].

    The interval accounts for overlapping training sets (`fercli.metrics.resampling`), and is cut off at 0 and 1.
    """

    mean: float
    std: float
    interval: list[float]


class PooledMetrics(Summary):
    """The metrics of all out-of-fold predictions together: `predictions` of `n` images, one for each repeat.

    `accuracy_interval` is the Wilson interval at 95 % for the `n` images. It holds for these images and the models of
    these folds. `balanced_accuracy` and `macro_f1` are means over the `averaged_over` emotions that occur. `confusion`
    has a row for each true class, and counts each image once per repeat.
    """

    n: int
    predictions: int
    accuracy: float
    accuracy_interval: list[float]
    balanced_accuracy: float
    macro_f1: float
    averaged_over: int
    per_class: dict[str, ClassSummary]
    confusion: list[list[int]]


class NoiseRate(Summary):
    """The metrics over the folds at one rate of label noise: accuracy, balanced_accuracy and macro_f1."""

    rate: float
    metrics: dict[str, Spread]


class NoiseSummary(Summary):
    """Label noise: the rate of the figures in front, the seed of the draw, and the metrics at all rates, ascending."""

    rate: float
    seed: int
    rates: list[NoiseRate]


class CrossValidationSummary(Summary):
    """The output of `fer crossvalidate --json`. Ratios are in 0..1.

    `n` is the number of images, `groups` that of persons, photographs or distinct images that are never divided.
    `imported_folds` is whether the folds of the first repeat are the dataset's own. `test_to_train` is the mean number
    of images of a fold by that outside it, which widens the intervals. `metrics` has accuracy, balanced_accuracy and
    macro_f1. `noise` is None without label noise; with several rates all other figures are those of the lowest.
    """

    model: str
    scheme: str
    folds: int
    repeats: int
    fold_seed: int
    seed: int
    stratify: bool
    splits: list[str]
    emotions: list[str]
    n: int
    groups: int
    imported_folds: bool
    selection: str
    test_to_train: float
    metrics: dict[str, Spread]
    pooled: PooledMetrics
    per_fold: list[FoldMetrics]
    notes: list[str]
    noise: NoiseSummary | None = None
