"""The plot of predicted against annotated valence and arousal. Returns a PNG, like those of `fercli.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MultipleLocator

from fercli.report.plots import DPI, png
from fercli.report.style import BLUE, INK, MUTED, style_axes

MAX_POINTS = 400
"""Up to this number of faces each is a point; more are counted in hexagons."""
_COUNTS = LinearSegmentedColormap.from_list("counts", ["#cfe3f0", BLUE, INK])


def affect_plot(
    predicted: npt.NDArray[np.floating[Any]], annotated: npt.NDArray[np.floating[Any]], titles: Sequence[str]
) -> bytes:
    """Plot predicted against annotated values, a panel each; on the dashed line both are equal.

    Args:
        predicted: (N, 2), in -1..1.
        annotated: (N, 2), in -1..1.
        titles: The titles of the two panels.
    """
    figure = Figure(figsize=(9.4, 4.7), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    for axes, x, y, title in zip(figure.subplots(1, 2), annotated.T, predicted.T, titles, strict=True):
        _draw(axes, x, y, title)
    return png(figure)


def _draw(axes: Axes, x: npt.NDArray[np.floating[Any]], y: npt.NDArray[np.floating[Any]], title: str) -> None:
    style_axes(axes, title, "annotated", "predicted")
    if len(x) <= MAX_POINTS:
        axes.plot(x, y, "o", color=BLUE, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5, alpha=0.8)
    else:
        drawn = axes.hexbin(
            x, y, gridsize=30, extent=(-1, 1, -1, 1), cmap=_COUNTS, bins="log", mincnt=1, linewidths=0.2
        )
        assert axes.figure is not None
        bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.78, pad=0.03)
        bar.set_label("faces", fontsize=9, color=MUTED)
        bar.ax.tick_params(labelsize=8, colors=MUTED, length=3)
        bar.outline.set_visible(False)
    axes.plot([-1, 1], [-1, 1], color=INK, linewidth=0.9, linestyle=(0, (4.0, 2.0)))
    for line in (axes.axhline, axes.axvline):
        line(0, color=MUTED, linewidth=0.7)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.5))
