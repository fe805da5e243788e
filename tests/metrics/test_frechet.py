"""The Fréchet distance against scipy's matrix square root."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from fercli.metrics.frechet import frechet_distance


def by_scipy(first: np.ndarray, second: np.ndarray) -> float:
    difference = first.mean(0) - second.mean(0)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    return float(difference @ difference + np.trace(one + other - 2 * np.real(sqrtm(one @ other))))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(12, 60), st.integers(12, 60))
def test_matches_scipy(seed: int, width: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n, width)) @ rng.normal(size=(width, width))
    second = rng.normal(size=(m, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)
    assert frechet_distance(first, second) == pytest.approx(by_scipy(first, second), rel=1e-6, abs=1e-6)
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-8, abs=1e-8)


def test_known_distances() -> None:
    rng = np.random.default_rng(0).normal(size=(50, 4))
    assert frechet_distance(rng, rng) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(rng, rng + np.array([3, 0, 4, 0])) == pytest.approx(25)
    # Of one feature: (m1 - m2)^2 + (s1 - s2)^2.
    one = np.array([[1.0], [3.0]])
    assert frechet_distance(one, 2 * one) == pytest.approx((2 - 4) ** 2 + (2**0.5 - 2 * 2**0.5) ** 2)


def test_finite_with_fewer_images_than_features() -> None:
    rng = np.random.default_rng(1)
    assert np.isfinite(frechet_distance(rng.normal(size=(5, 64)), rng.normal(size=(7, 64))))


@pytest.mark.parametrize(("first", "second"), [((1, 3), (5, 3)), ((4, 3), (4, 2)), ((4,), (4,))])
def test_invalid_shapes(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        frechet_distance(np.zeros(first), np.zeros(second))
