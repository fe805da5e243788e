"""The summary of a study, as printed by `--json`. Imported without torch and Optuna."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class HalfMetrics(Summary):
    """Metrics on one half of validation, in 0..1 except the loss; `accuracy_interval` is Wilson's at 95 %."""

    n: int
    accuracy: float
    accuracy_interval: list[float]
    macro_f1: float
    loss: float


class TrialSummary(Summary):
    """One complete trial: its number from 0, its point, and its metrics.

    `validation` is of the half that selected the epoch and the point; `other_half` of the half that the search never
    used. `run` is the run's path within the study, None if it was not kept.
    """

    number: int
    settings: dict[str, bool | int | float | str]
    best_epoch: int
    seconds: float
    validation: HalfMetrics
    other_half: HalfMetrics
    run: str | None


class StudySummary(Summary):
    """The output of `fer tune --json`.

    `select` is the metric that was optimised, `selection` says what was chosen and by what. `optimism` is the best
    trial's metric on the half of validation that chose it minus that on the other half (for the loss with the opposite
    sign): how much the choice flatters the figure. `importance` is the share of the variance of the metric explained by
    each setting (fANOVA, Hutter et al. 2014), None with too few trials. `best` is None if no trial is complete. `noise`
    is the share of the training labels that were swapped in all trials, None without label noise.
    """

    model: str
    search: str
    select: str
    selection: str
    trials: int
    complete: int
    pruned: int
    failed: int
    seconds: float
    best: TrialSummary | None
    optimism: float | None
    importance: dict[str, float] | None
    noise: float | None = None
