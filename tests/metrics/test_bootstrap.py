"""The bootstrap against resampling images one by one, and against analytical standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from fercli.metrics.bootstrap import bootstrap_differences
from tests.helpers.comparison import predict

LABELS = np.random.default_rng(0).integers(0, 3, 240)
A, B = predict(LABELS, 0.6, 1), predict(LABELS, 0.5, 2)


def metrics(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return accuracy, balanced accuracy, macro F1 and recalls by scikit-learn."""
    each = recall_score(labels, predicted, labels=[0, 1, 2], average=None)
    means = [(labels == predicted).mean(), balanced_accuracy_score(labels, predicted)]
    return np.array([*means, f1_score(labels, predicted, average="macro"), *each])


def by_hand(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the same by sums, for many resamples."""
    hit, of, called = (
        np.array([mask[k].sum() for k in range(3)])
        for mask in (
            [(labels == k) & (predicted == k) for k in range(3)],
            [labels == k for k in range(3)],
            [predicted == k for k in range(3)],
        )
    )
    return np.array([hit.sum() / len(labels), (hit / of).mean(), (2 * hit / (of + called)).mean(), *(hit / of)])


def test_the_observed_difference_is_scikit_learns() -> None:
    found = bootstrap_differences(LABELS, A[None], B[None], 3, resamples=100)
    assert found.difference == pytest.approx(metrics(LABELS, A) - metrics(LABELS, B))
    assert by_hand(LABELS, A) == pytest.approx(metrics(LABELS, A))


@pytest.mark.slow
def test_intervals_match_resampling_images_one_by_one() -> None:
    found = bootstrap_differences(LABELS, A[None], B[None], 3, resamples=20_000)
    generator = np.random.default_rng(1)
    samples = []
    for _ in range(1500):
        rows = generator.integers(0, len(LABELS), len(LABELS))
        samples.append(by_hand(LABELS[rows], A[rows]) - by_hand(LABELS[rows], B[rows]))
    low, high = np.quantile(samples, [0.025, 0.975], axis=0)
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)
    assert found.error == pytest.approx(np.std(samples, axis=0), rel=0.07)


def test_the_error_of_accuracy_is_that_of_paired_differences() -> None:
    found = bootstrap_differences(LABELS, A[None], B[None], 3, resamples=20_000)
    each = (A == LABELS).astype(float) - (B == LABELS)
    assert found.error[0] == pytest.approx(each.std() / math.sqrt(len(LABELS)), rel=0.03)


def test_seeds_add_the_variance_of_their_mean() -> None:
    # Every run is right on its own number of images, so many that images add next to nothing.
    labels = np.zeros(30_000, np.int64)
    shares = (0.50, 0.56, 0.52, 0.60), (0.40, 0.44, 0.46)
    groups = [np.stack([np.arange(len(labels)) >= share * len(labels) for share in group]) for group in shares]
    found = bootstrap_differences(labels, groups[0] * 1, groups[1] * 1, 2, resamples=4000)
    seeds = sum(np.var(group, ddof=1) / len(group) for group in shares)
    # The images' own part: differences of the mean correctness over runs.
    each = (groups[0] == 0).mean(0) - (groups[1] == 0).mean(0)
    assert found.difference[0] == pytest.approx(np.mean(shares[0]) - np.mean(shares[1]), abs=1e-4)
    assert found.error[0] == pytest.approx(math.sqrt(seeds + each.var() / len(labels)), rel=0.05)


def test_a_run_is_not_resampled_if_it_is_the_only_one() -> None:
    single = bootstrap_differences(LABELS, A[None], B[None], 3, resamples=4000)
    twice = bootstrap_differences(LABELS, np.stack([A, A]), B[None], 3, resamples=4000)
    assert twice.error == pytest.approx(single.error, rel=0.08)


def test_equal_seeds_give_equal_intervals() -> None:
    calls = [bootstrap_differences(LABELS, A[None], B[None], 3, resamples=300, seed=seed) for seed in (1, 1, 2)]
    assert calls[0].low.tolist() == calls[1].low.tolist()
    assert calls[0].low.tolist() != calls[2].low.tolist()


def test_a_class_that_does_not_occur_has_no_recall() -> None:
    found = bootstrap_differences(LABELS, A[None], B[None], 4, resamples=100)
    assert np.isnan([found.difference[6], found.low[6], found.error[6]]).all()
    assert np.isfinite(found.low[:6]).all()


def test_equal_predictions_have_no_difference() -> None:
    found = bootstrap_differences(LABELS, A[None], A[None], 3, resamples=100)
    assert not found.difference.any()
    assert not found.low.any()
    assert not found.high.any()


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="labels of shape"):
        bootstrap_differences(LABELS[:10], A[None], B[None], 3)
    with pytest.raises(ValueError, match="labels of shape"):
        bootstrap_differences(LABELS[:0], A[None, :0], B[None, :0], 3)
