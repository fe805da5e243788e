"""Plot of a weight analysis: the strongest features of each emotion, compared with an even share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fercli.explanation.weight_analysis import Shares
from fercli.report.plots import DPI, png
from fercli.report.style import INK, MUTED, escape_math, label, line_styles, style_axes

STRONGEST = 10
_COLUMNS = 4


def weights_plot(shares: Shares, emotions: Sequence[str], title: str) -> bytes:
    """Plot the shares of the strongest features as bars, one panel per emotion and one for the mean, as PNG.

    Args:
        shares: (emotions, features), from `weight_analysis.contributions`.
        emotions: Their names.
        title: Title of the plot.
    """
    panels = [*zip(emotions, shares, strict=True), ("all emotions", shares.mean(0))]
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 2.9 * rows + 0.7), dpi=DPI, layout=ConstrainedLayoutEngine(h_pad=0.12))
    axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True).ravel()
    styles = line_styles(list(emotions))
    for (name, share), one in zip(panels, axes, strict=False):
        _panel(one, label(name), share, styles[name].color if name in styles else INK)
    for one in axes[len(panels) :]:
        one.set_visible(False)
    for one in axes[max(0, len(panels) - _COLUMNS) : len(panels)]:
        one.tick_params(labelbottom=True)
        one.set_xlabel("share of the weight", fontsize=9.5, color=MUTED)
    figure.suptitle(escape_math(title), fontsize=12, fontweight="bold", color=INK)
    return png(figure)


def _panel(axes: Axes, name: str, share: Shares, color: str) -> None:
    order = strongest(share)
    style_axes(axes, name, "", "feature")
    axes.barh(range(len(order)), share[order], color=color, height=0.7)
    axes.set_yticks(range(len(order)), [str(feature) for feature in order])
    axes.invert_yaxis()
    axes.axvline(1 / len(share), color=MUTED, linewidth=1, linestyle=(0, (3.0, 2.0)))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.grid(False, axis="y")


def strongest(share: Shares, count: int = STRONGEST) -> list[int]:
    """Return the indices of the largest of the shares (F,), largest first; ties in index order."""
    order: list[int] = np.argsort(-share, kind="stable")[:count].tolist()
    return order
