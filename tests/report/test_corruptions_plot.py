"""The plot of corruptions: one panel to nine, nothing is cut off, equal data give equal bytes."""

from __future__ import annotations

import pytest

from fercli.images import decode
from fercli.report.corruptions_plot import corruptions_plot


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4, 9])
def test_corruptions_plot(count: int) -> None:
    accuracy = [0.7, 0.6, 0.5, 0.4, 0.3]
    curves = {f"corruption {k}": (accuracy, [[a - 0.1, a + 0.1] for a in accuracy]) for k in range(count)}
    png = corruptions_plot(curves, 0.8, [0.75, 0.85], dict.fromkeys(curves, "a $parameter"))
    pixels = decode(png, "figure")
    assert (pixels[[0, -1]] == 255).all()
    assert (pixels[:, [0, -1]] == 255).all()
    assert corruptions_plot(curves, 0.8, [0.75, 0.85], dict.fromkeys(curves, "a $parameter")) == png
