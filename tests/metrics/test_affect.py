"""Agreement of valence and arousal, against numbers computed by hand, scipy, and scipy's bootstrap."""

import math

import numpy as np
import pytest
from scipy import stats

from fercli.metrics.affect import agreement

RNG = np.random.default_rng(0)
ANNOTATED = RNG.uniform(-1, 1, 300)
PREDICTED = np.clip(0.6 * ANNOTATED + 0.2 + 0.2 * RNG.standard_normal(300), -1, 1)


def test_numbers_by_hand() -> None:
    # Means 0.25 and 0; variances 0.0625 and 0.25; covariance 0.125.
    found = agreement(np.array([0.0, 0.5]), np.array([-0.5, 0.5]))
    assert found.n == 2
    assert found.ccc.value == pytest.approx(2 * 0.125 / (0.0625 + 0.25 + 0.0625))
    assert found.rmse.value == pytest.approx(math.sqrt(0.125))
    assert found.pearson.value == pytest.approx(1)
    assert found.sign_agreement.value == 0.5


def test_equal_values_agree_fully_and_opposite_ones_not_at_all() -> None:
    same, opposite = agreement(ANNOTATED, ANNOTATED), agreement(-ANNOTATED, ANNOTATED)
    assert (same.ccc.value, same.rmse.value, same.sign_agreement.value) == (pytest.approx(1), 0, 1)
    assert opposite.pearson.value == pytest.approx(-1)
    assert opposite.ccc.value < -0.95
    assert opposite.sign_agreement.value == 0


def test_equals_scipy_and_the_definition() -> None:
    found = agreement(PREDICTED, ANNOTATED)
    assert found.pearson.value == pytest.approx(stats.pearsonr(PREDICTED, ANNOTATED).statistic)
    covariance = np.cov(PREDICTED, ANNOTATED, bias=True)
    shift = (PREDICTED.mean() - ANNOTATED.mean()) ** 2
    assert found.ccc.value == pytest.approx(2 * covariance[0, 1] / (covariance.trace() + shift))
    assert found.ccc.value < found.pearson.value
    assert found.rmse.value == pytest.approx(np.sqrt(((PREDICTED - ANNOTATED) ** 2).mean()))


def test_intervals_are_those_of_scipys_bootstrap() -> None:
    found = agreement(PREDICTED, ANNOTATED, resamples=4000)
    oracle = stats.bootstrap(
        (PREDICTED, ANNOTATED), lambda x, y: stats.pearsonr(x, y).statistic, paired=True, vectorized=False,
        method="percentile", n_resamples=4000, rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (found.pearson.low, found.pearson.high) == pytest.approx((oracle.low, oracle.high), abs=0.004)
    for one in (found.ccc, found.rmse, found.pearson, found.sign_agreement):
        assert one.low < one.value < one.high


def test_equal_seeds_give_equal_intervals() -> None:
    assert agreement(PREDICTED, ANNOTATED) == agreement(PREDICTED, ANNOTATED)
    assert agreement(PREDICTED, ANNOTATED, seed=1) != agreement(PREDICTED, ANNOTATED)


@pytest.mark.parametrize("predicted", [[0.5], [0.1, 0.1, 0.1]])
def test_undefined_metrics_are_nan(predicted: list[float]) -> None:
    found = agreement(np.array(predicted, np.float32), np.full(len(predicted), 0.3))
    assert math.isnan(found.ccc.value)
    assert math.isnan(found.pearson.value)
    assert found.rmse.value == pytest.approx(abs(predicted[0] - 0.3))


def test_a_constant_prediction_has_no_concordance() -> None:
    found = agreement(np.full(300, 0.1), ANNOTATED)
    assert found.ccc.value == pytest.approx(0)
    assert math.isnan(found.pearson.value)


def test_wrong_shapes_are_refused() -> None:
    for predicted, annotated in ((np.zeros(2), np.zeros(3)), (np.zeros(0), np.zeros(0)), (np.zeros((2, 2)),) * 2):
        with pytest.raises(ValueError, match="shape"):
            agreement(predicted, annotated)
