"""The summary of a comparison, as printed by `--json` and written to comparison.json."""

from __future__ import annotations

from typing import Literal

from fercli.artifacts.summary import Summary

Method = Literal["images", "seeds", "one run against seeds", "kfold", "5x2"]


class MetricSummary(Summary):
    """A metric of a side: the mean over its runs or folds, the standard deviation, and `each` value.

    `deviation` is None for one value, and both are None for the recall of an emotion that does not occur.
    """

    mean: float | None
    deviation: float | None
    each: list[float | None]


class SideSummary(Summary):
    """One side: its artifacts, the number of its runs (of a cross-validation all folds), and its metrics by name.

    The names are accuracy, balanced_accuracy, macro_f1, and `recall EMOTION` for each emotion.
    """

    name: str
    members: list[str]
    runs: int
    metrics: dict[str, MetricSummary]


class DifferenceSummary(Summary):
    """The difference of a metric, first minus second, with its 95 % interval and two-sided p-value.

    None where undefined: the recall of an emotion that does not occur, values that do not vary, and the p-value of what
    the pair's test does not test.
    """

    first: float | None
    second: float | None
    difference: float | None
    interval: list[float] | None
    p_value: float | None


class TestSummary(Summary):
    """One test of the difference in accuracy: its name, statistic, degrees of freedom, and what it says, in words."""

    name: str
    statistic: float | None
    freedom: list[float]
    p_value: float | None
    meaning: str


class DiscordantSummary(Summary):
    """How many images both, one or neither of two single models classified correctly."""

    both: int
    only_first: int
    only_second: int
    neither: int


class PairSummary(Summary):
    """Two sides against each other.

    `method` and `why` say which test was chosen and why. `p_value` is that test's, of accuracy, and `corrected_p` the
    same after Holm's correction (None for a single pair); `significant` and `verdict` follow the corrected one.
    `smallest_difference` in accuracy would have been found with a probability of 80 %; None if no difference would.
    """

    first: str
    second: str
    method: Method
    why: str
    differences: dict[str, DifferenceSummary]
    tests: list[TestSummary]
    p_value: float | None
    corrected_p: float | None
    significant: bool
    smallest_difference: float | None
    discordant: DiscordantSummary | None
    verdict: str
    notes: list[str]


class GroupSummary(Summary):
    """The difference in accuracy of two sides within one group of images."""

    first: str
    second: str
    group: str
    n: int
    difference: DifferenceSummary


class ComparisonSummary(Summary):
    """What `fer compare --json` prints.

    `compared` is the kind of the artifacts. `n` is the number of images and `split` theirs (empty for
    cross-validations, where each image is predicted once in each of `repeats`). `disagreements` counts the predictions
    that are not alike on all sides. `by` is the column or file of groups, and `groups` the differences within them,
    empty without.
    """

    compared: Literal["evaluation", "run", "crossvalidation"]
    split: str
    n: int
    repeats: int
    emotions: list[str]
    sides: list[SideSummary]
    pairs: list[PairSummary]
    correction: Literal["Holm"] | None
    notices: list[str]
    disagreements: int
    resamples: int
    by: str | None = None
    groups: list[GroupSummary]
