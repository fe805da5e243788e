"""The risk-coverage plot. Returns a PNG as bytes, like the functions of `fercli.report.plots`."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from fercli.metrics.selective import RiskCoverage
from fercli.report.plots import DPI, LEGEND, png
from fercli.report.style import BLUE, GREEN, MUTED, ORANGE, style_axes

_POINTS = 600
"""Maximum number of points of the line; a plot of this width shows no more."""


def risk_coverage_plot(curve: RiskCoverage) -> bytes:
    """Plot the error rate of the most confident faces against their share, with the coverages at 90 and 95 % accuracy.

    Args:
        curve: The curve; the legend shows its area.
    """
    figure = Figure(figsize=(7.6, 4.3), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    axes = figure.add_subplot()
    style_axes(axes, "Risk and coverage", "coverage: share of faces, the most confident first", "error rate")
    at = np.unique(np.linspace(0, len(curve.risk) - 1, min(_POINTS, len(curve.risk))).round().astype(int))
    whole = float(curve.risk[-1])
    axes.axhline(whole, color=MUTED, linewidth=1, linestyle=(0, (4.0, 1.5)), label=f"all faces: error {whole:.1%}")
    marker = "o" if len(at) == 1 else ""
    name = f"most confident faces (area {curve.area:.3f})"
    axes.plot(curve.coverage[at], curve.risk[at], color=BLUE, linewidth=1.9, marker=marker, label=name)
    for accuracy, color in ((0.9, GREEN), (0.95, ORANGE)):
        if covered := curve.coverage_at(accuracy):
            risk = curve.risk_at(covered)
            name = f"{accuracy:.0%} accuracy up to coverage {covered:.1%}"
            axes.plot(covered, risk, "o", color=color, markersize=7, markeredgecolor="white", label=name, zorder=5)
    top = float(curve.risk.max())
    axes.set(xlim=(0, 1.01), ylim=(0, max(0.05, 1.08 * top)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=None))
    figure.legend(loc="outside lower center", ncols=2, **LEGEND)
    return png(figure)
