"""The reliability diagram. Returns a PNG as bytes, like the functions of `fercli.report.plots`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from fercli.metrics.calibration import ReliabilityBins
from fercli.report.plots import DPI, png
from fercli.report.style import BLUE, EMPTY, INK, MUTED, ORANGE, style_axes


def reliability_plot(sets: Mapping[str, ReliabilityBins]) -> bytes:
    """Plot accuracy against confidence, above the number of predictions in each bin, side by side for each set.

    Args:
        sets: The bins by name, such as before and after calibration. A line on the diagonal is perfect calibration: the
            bars of a bin show its accuracy, and a gap up to the diagonal that the model is too confident.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06)
    figure = Figure(figsize=(1.6 + 3.9 * len(sets), 4.6), dpi=DPI, layout=layout)
    grid = figure.subplots(2, len(sets), squeeze=False, sharex=True, height_ratios=[3, 1])
    for column, (name, bins) in enumerate(sets.items()):
        _draw(grid[0, column], grid[1, column], name, bins)
    return png(figure)


def _draw(accuracy: Any, counts: Any, name: str, bins: ReliabilityBins) -> None:
    number = len(bins.counts)
    lefts, used = np.arange(number) / number, bins.counts > 0
    bar: dict[str, Any] = {"width": 1 / number, "align": "edge", "edgecolor": "white", "linewidth": 0.8}
    style_axes(accuracy, f"{name[:1].upper()}{name[1:]}: error {bins.error:.3f}", "", "accuracy")
    accuracy.bar(lefts[used], bins.accuracy[used], color=BLUE, **bar)
    accuracy.plot(bins.confidence[used], bins.accuracy[used], "o", color=ORANGE, markersize=4, markeredgecolor="white")
    accuracy.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle=(0, (2.0, 2.0)))
    accuracy.set(xlim=(0, 1), ylim=(0, 1))
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    style_axes(counts, "", "confidence", "images")
    counts.bar(lefts, bins.counts, color=MUTED if bins.counts.any() else EMPTY, **bar)
    counts.xaxis.set_major_formatter(PercentFormatter(1))
