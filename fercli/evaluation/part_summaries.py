"""The summaries of parts of an evaluation: selective prediction, groups, corruptions. Imported without torch."""

from __future__ import annotations

from typing import Self

from fercli.artifacts.summary import Summary
from fercli.metrics.selective import RiskCoverage

COVERAGES = tuple(tenth / 10 for tenth in range(1, 11))
"""The coverages at which a summary holds the risk."""


class SelectiveSummary(Summary):
    """Selective prediction, by the probability of the predicted emotion; all values in 0..1.

    `area` is the area under the risk-coverage curve (AURC), and `excess_area` how much of it is due to the ranking: its
    excess over that of a confidence that ranks all errors last. `coverage_at_90` and `coverage_at_95` are the largest
    shares of faces, the most confident first, of which 90 and 95 % are classified correctly; 0 if there are none. The
    threshold is chosen on the evaluated split itself, so they describe it and promise nothing for other faces. `risk`
    is the error rate at each of the coverages `coverage`.
    """

    area: float
    excess_area: float
    coverage_at_90: float
    coverage_at_95: float
    coverage: list[float]
    risk: list[float]

    @classmethod
    def of(cls, curve: RiskCoverage) -> Self:
        """Return the summary of a curve."""
        return cls(
            area=curve.area,
            excess_area=curve.excess_area,
            coverage_at_90=curve.coverage_at(0.9),
            coverage_at_95=curve.coverage_at(0.95),
            coverage=list(COVERAGES),
            risk=[curve.risk_at(share) for share in COVERAGES],
        )


class DimensionSummary(Summary):
    """The agreement of predicted and annotated valence, or arousal, with 95 % intervals by bootstrap over the faces.

    CCC, Pearson's correlation and its sign agreement (SAGR) are at most 1, RMSE is in units of the scale from -1 to 1
    (`fercli.metrics.affect`). None is undefined.
    """

    ccc: float | None
    ccc_interval: list[float] | None
    rmse: float
    rmse_interval: list[float]
    pearson: float | None
    pearson_interval: list[float] | None
    sign_agreement: float
    sign_agreement_interval: list[float]


class AffectSummary(Summary):
    """The metrics of valence and arousal over the `n` annotated faces, and the mean of the two CCCs."""

    n: int
    mean_ccc: float | None
    valence: DimensionSummary
    arousal: DimensionSummary


class GroupSummary(Summary):
    """Metrics of the images of one group: ratios in 0..1, the interval [low, high] at 95 %.

    `recalls` has an entry for each emotion, None if it does not occur in the group.
    """

    n: int
    accuracy: float
    accuracy_interval: list[float]
    recalls: dict[str, float | None]


class GapSummary(Summary):
    """The largest difference in accuracy between two of the `compared` groups of at least `min_n` images.

    `p_value` is that of a permutation test of this largest difference, with `permutations` permutations by `seed`. The
    images without a group are not compared.
    """

    high: str
    low: str
    gap: float
    p_value: float
    compared: int
    min_n: int
    permutations: int
    seed: int


class GroupsSummary(Summary):
    """Metrics by group, as of `--by`: the column or file, and whether its values were put into bins.

    `gap` is None if fewer than two groups are large enough. `unknown_rows` is the number of rows of the file whose
    images are not in the evaluated split.
    """

    by: str
    binned: bool
    groups: dict[str, GroupSummary]
    gap: GapSummary | None
    unknown_rows: int


class CorruptionCurve(Summary):
    """Accuracy with 95 % intervals, and macro F1, under one corruption at strengths 1 to 5; and the mean error rate."""

    accuracy: list[float]
    accuracy_interval: list[list[float]]
    macro_f1: list[float]
    error: float


class CorruptionsSummary(Summary):
    """Robustness to corruptions, as of `--corrupt`; ratios in 0..1.

    `mean_error` is the mean of the error rate over the corruptions and strengths (the mean corruption error, without
    dividing by that of AlexNet). `added_error` is its excess over `clean_error`, the error rate on the images as they
    are, and `relative_error` their ratio; None if there are no errors on clean images.
    """

    clean_error: float
    mean_error: float
    added_error: float
    relative_error: float | None
    corruptions: dict[str, CorruptionCurve]
