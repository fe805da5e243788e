"""The summaries of evaluations and of judged generated images, as printed by `--json`. Imported without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.artifacts.summary import Summary
from fercli.evaluation.part_summaries import AffectSummary, CorruptionsSummary, GroupsSummary, SelectiveSummary
from fercli.metrics.calibration import BINS, reliability_bins
from fercli.metrics.confusion import classification_metrics, confusion_matrix
from fercli.metrics.curves import roc_auc
from fercli.metrics.intervals import wilson_interval
from fercli.metrics.selective import risk_coverage


class ClassSummary(Summary):
    """Metrics of one emotion against the rest, in 0..1, and the number of images with this label.

    Undefined values are None: recall and F1 of an emotion that does not occur (`fercli.metrics.confusion`).
    """

    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    support: int


class WithoutLeaks(Summary):
    """Metrics without the images whose pixels the run was trained on; `accuracy` is None if none are left."""

    n: int
    accuracy: float | None
    accuracy_interval: list[float]


class CalibrationSummary(Summary):
    """The expected calibration error of the probabilities, in 0..1, with `bins` bins of equal width.

    `temperature` is the checkpoint's, and `raw_error` the error without it; both are None for an ensemble.
    """

    error: float
    raw_error: float | None
    temperature: float | None
    bins: int = BINS


class EvaluationSummary(Summary):
    """The output of `fer evaluate --json`. Ratios are in 0..1, intervals are [low, high] at 95 %.

    `tta` is the test-time augmentation, and `selection` says what was selected and on what. `roc_auc` is None if fewer
    than two emotions occur; it, `balanced_accuracy` and `macro_f1` are means over the `averaged_over` emotions that
    occur. `confusion` has a row for each true class, and `per_class` an entry for each of `emotions`. `calibration` is
    None in evaluations by versions before 0.2, and so is `selective` in those made before it was added. `groups` and
    `corruptions` are None without `--by` and `--corrupt`, `affect` unless the checkpoint predicts valence and arousal
    and the split has them.
    """

    split: str
    n: int
    tta: str
    selection: str
    emotions: list[str]
    accuracy: float
    accuracy_interval: list[float]
    balanced_accuracy: float
    macro_f1: float
    averaged_over: int
    roc_auc: float | None
    per_class: dict[str, ClassSummary]
    confusion: list[list[int]]
    without_leaks: WithoutLeaks | None
    calibration: CalibrationSummary | None = None
    selective: SelectiveSummary | None = None
    groups: GroupsSummary | None = None
    corruptions: CorruptionsSummary | None = None
    affect: AffectSummary | None = None


class MemberSummary(Summary):
    """One member of an ensemble: its weight (0 if unused), and its own metrics on the same split.

    `options` contains the architecture's options that differ from the default. `validation_accuracy` is None if
    unknown; `selected` is whether the member was chosen.
    """

    checkpoint: str
    architecture: str
    options: dict[str, str]
    weight: float
    accuracy: float
    accuracy_interval: list[float]
    validation_accuracy: float | None
    selected: bool


class McNemarSummary(Summary):
    """McNemar's exact test against the best member: images that both, one or neither classified correctly.

    `best_by` is the criterion that determines the best member; never the evaluated split.
    """

    best_member: str
    best_by: str
    both: int
    only_ensemble: int
    only_member: int
    neither: int
    p_value: float


class EnsembleSummary(EvaluationSummary):
    """The output of `fer ensemble --json`: the metrics of an evaluation, and those of the members.

    `mcnemar` is None if there are no validation metrics to determine the best member.
    """

    method: str
    members: list[MemberSummary]
    mcnemar: McNemarSummary | None


class Agreement(Summary):
    """The share of `n` images for which the judge predicts the intended emotion, with its 95 % interval."""

    agreed: int
    n: int
    share: float
    interval: list[float]


class FrechetSummary(Summary):
    """The Fréchet distance between generated and real images of a class, and between two sets of real ones.

    `few` is whether there are fewer images than features, so that the distances are rough estimates.
    """

    distance: float
    of_real: float
    generated: int
    real: int
    features: int
    few: bool


class JudgedClass(Summary):
    """How well the generated images of an emotion show it; `validation` is the agreement on real images."""

    generated: Agreement
    validation: Agreement | None = None
    frechet: FrechetSummary | None


class JudgementSummary(Summary):
    """The results of `fer balance --judge`."""

    checkpoint: str
    architecture: str
    agreement: Agreement
    classes: dict[str, JudgedClass]


def summarise(
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.floating[Any]],
    emotions: list[str],
    *,
    split: str,
    tta: str,
    selection: str,
    unseen: npt.NDArray[np.bool_] | None = None,
    raw: npt.NDArray[np.floating[Any]] | None = None,
    temperature: float | None = None,
) -> EvaluationSummary:
    """Return the metrics of predictions.

    Args:
        labels: (N,), indices into the emotions.
        probabilities: (N, C).
        emotions: The C names, in order.
        split: The evaluated split.
        tta: The test-time augmentation.
        selection: What was selected, how and on what, for display.
        unseen: Which faces were not trained on, (N,); None to omit the metrics on these only.
        raw: The probabilities before calibration, (N, C); None if they are unknown.
        temperature: The temperature that calibrated them.
    """
    right = probabilities.argmax(1) == labels
    matrix = confusion_matrix(labels, probabilities.argmax(1), len(emotions))
    found = classification_metrics(matrix, emotions).as_dict()
    without_leaks = None
    if unseen is not None:
        without_leaks = WithoutLeaks(
            n=int(unseen.sum()),
            accuracy=float(right[unseen].mean()) if unseen.any() else None,
            accuracy_interval=interval_of(right[unseen]),
        )
    return EvaluationSummary(
        split=split,
        n=len(labels),
        tta=tta,
        selection=selection,
        emotions=emotions,
        accuracy=found["accuracy"],
        accuracy_interval=interval_of(right),
        balanced_accuracy=found["balanced_accuracy"],
        macro_f1=found["macro_f1"],
        averaged_over=found["averaged_over"],
        roc_auc=roc_auc(labels, probabilities),
        per_class=found["per_class"],
        confusion=matrix.tolist(),
        without_leaks=without_leaks,
        calibration=CalibrationSummary(
            error=reliability_bins(probabilities, labels).error,
            raw_error=None if raw is None else reliability_bins(raw, labels).error,
            temperature=temperature,
            bins=BINS,
        ),
        selective=SelectiveSummary.of(risk_coverage(probabilities.max(1), right)),
    )


def interval_of(right: npt.NDArray[np.bool_]) -> list[float]:
    """Return the 95 % interval of the share of correctly classified images, [low, high]."""
    return list(wilson_interval(int(right.sum()), len(right)))
