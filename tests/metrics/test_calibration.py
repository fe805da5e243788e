"""The expected calibration error, by hand, and the temperature, against scipy's minimiser."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from fercli.metrics.calibration import LIMITS, fit_temperature, reliability_bins


def sample(n: int, classes: int, scale: float, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Draw labels from softmax(z), and return them with softmax(scale z): the right temperature is `scale`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, classes)) * 2
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([generator.choice(classes, p=row) for row in true])
    given = np.exp(scale * logits)
    return given / given.sum(1, keepdims=True), labels


def test_error_by_hand() -> None:
    # Bins of 1/5: (0.4, 0.6] holds two predictions, one right; (0.8, 1] three, two right.
    probabilities = np.array([[0.6, 0.4], [0.45, 0.55], [0.9, 0.1], [0.05, 0.95], [1.0, 0.0]])
    bins = reliability_bins(probabilities, np.array([0, 0, 0, 0, 0]), bins=5)
    assert bins.counts.tolist() == [0, 0, 2, 0, 3]
    assert bins.accuracy[[2, 4]] == pytest.approx([1 / 2, 2 / 3])
    assert bins.confidence[[2, 4]] == pytest.approx([0.575, 0.95])
    assert np.isnan(bins.accuracy[[0, 1, 3]]).all()
    assert bins.error == pytest.approx(2 / 5 * 0.075 + 3 / 5 * (0.95 - 2 / 3))


def test_calibrated_predictions_have_a_small_error() -> None:
    calibrated, labels = sample(20_000, 4, 1.0, 0)
    confident, same = sample(20_000, 4, 3.0, 0)
    assert (same == labels).all()
    assert reliability_bins(calibrated, labels).error < 0.015
    assert reliability_bins(confident, labels).error > 0.1


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_temperature_minimises_the_loss(scale: float) -> None:
    probabilities, labels = sample(1500, 5, scale, 3)

    def loss(temperature: float) -> float:
        scaled = probabilities ** (1 / temperature)
        logs = np.log(scaled / scaled.sum(1, keepdims=True))
        # One more image with every class as its label in equal shares.
        return float(-logs[np.arange(len(labels)), labels].sum() - logs.mean(1).mean())

    found = minimize_scalar(loss, bounds=LIMITS, method="bounded", options={"xatol": 1e-9}).x
    assert fit_temperature(probabilities, labels) == pytest.approx(found, rel=1e-5)
    assert found == pytest.approx(scale, rel=0.15)


def test_temperature_of_extreme_predictions_is_within_the_limits() -> None:
    labels = np.array([0, 1] * 40)
    right = np.where(np.eye(2)[labels] > 0, 0.9, 0.1)
    assert LIMITS[0] < fit_temperature(right, labels) < 1
    # Always right on few images: the added image keeps the confidence below certainty.
    confidence = 0.9 ** (1 / fit_temperature(right, labels))
    assert confidence / (confidence + 0.1 ** (1 / fit_temperature(right, labels))) < 0.999
    assert fit_temperature(1 - right, labels) == LIMITS[1]
    assert fit_temperature(np.eye(2)[labels], labels) > LIMITS[0]
    assert fit_temperature(np.full((4, 3), 1 / 3), np.array([0, 1, 2, 0])) in LIMITS


@given(st.integers(1, 40), st.integers(2, 8), st.integers(0, 2**31))
def test_temperature_never_changes_the_prediction(n: int, classes: int, seed: int) -> None:
    probabilities, labels = sample(n, classes, 1.7, seed)
    temperature = fit_temperature(probabilities, labels)
    assert LIMITS[0] <= temperature <= LIMITS[1]
    logs = np.log(probabilities) / temperature
    assert (logs.argmax(1) == probabilities.argmax(1)).all()
