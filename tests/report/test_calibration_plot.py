"""The reliability diagram: equal data give equal bytes, empty bins and one set are drawn, nothing is cut off."""

from __future__ import annotations

import numpy as np
import pytest

from fercli.images import decode
from fercli.metrics.calibration import reliability_bins
from fercli.report.calibration_plot import reliability_plot


@pytest.mark.slow
@pytest.mark.parametrize("names", [("probabilities",), ("before calibration", "after calibration")])
@pytest.mark.parametrize("n", [1, 300])
def test_reliability_diagram(names: tuple[str, ...], n: int) -> None:
    generator = np.random.default_rng(n)
    bins = reliability_bins(generator.dirichlet(np.ones(7) / 3, n), generator.integers(0, 7, n))
    sets = dict.fromkeys(names, bins)
    png = reliability_plot(sets)
    pixels = decode(png, "figure")
    assert (pixels[0] == 255).all()
    assert (pixels[:, -1] == 255).all()
    assert len(np.unique(pixels[::3, ::3].reshape(-1, 3), axis=0)) > 20
    assert pixels.shape[1] == pytest.approx(150 * (1.6 + 3.9 * len(names)), abs=2)
    assert reliability_plot(sets) == png
