"""The risk-coverage plot: equal data give equal bytes, one face and no errors are drawn, nothing is cut off."""

from __future__ import annotations

import numpy as np
import pytest

from fercli.images import decode
from fercli.metrics.selective import risk_coverage
from fercli.report.risk_coverage_plot import risk_coverage_plot


@pytest.mark.slow
@pytest.mark.parametrize(("n", "share"), [(1, 0.0), (5, 1.0), (3000, 0.8)])
def test_risk_coverage_plot(n: int, share: float) -> None:
    generator = np.random.default_rng(n)
    curve = risk_coverage(generator.random(n), generator.random(n) < share)
    png = risk_coverage_plot(curve)
    pixels = decode(png, "figure")
    assert (pixels[[0, -1]] == 255).all()
    assert (pixels[:, [0, -1]] == 255).all()
    assert len(np.unique(pixels[::3, ::3].reshape(-1, 3), axis=0)) > 10
    assert risk_coverage_plot(curve) == png
