"""The plots of a cross-validation: each metric of every fold, with mean and interval; and by rate of label noise."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from fercli.report.plots import DPI, png
from fercli.report.style import BLUE, GREEN, INK, MUTED, ORANGE, style_axes
from fercli.stages.crossvalidate.summary import CrossValidationSummary, NoiseSummary

NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
_SPREAD = 0.28
"""Height over which the folds of a metric are spread, so that equal values stay visible."""


def folds_plot(summary: CrossValidationSummary) -> bytes:
    """Plot the metrics of all folds as dots, a row for each metric, above its mean and 95 % interval. Returns a PNG."""
    figure = Figure(figsize=(9, 3.7), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    axes = figure.add_subplot()
    count = len(summary.per_fold)
    style_axes(axes, f"{count} folds: each fold, mean and 95 % interval", "", "")
    heights = np.linspace(0, _SPREAD, count)
    for row, name in enumerate(NAMES):
        spread, values = summary.metrics[name], [one[name] for one in summary.per_fold]
        dots = {"color": BLUE, "alpha": 0.65, "markersize": 5.5, "markeredgewidth": 0}
        axes.plot(values, row - 0.1 - heights, "o", label="" if row else "one fold", **dots)  # type: ignore[arg-type]
        low, high = spread.interval
        axes.plot([low, high], [row + 0.15, row + 0.15], color=ORANGE, linewidth=2.2, solid_capstyle="butt")
        axes.plot(
            [spread.mean], [row + 0.15], "D", color=ORANGE, markersize=6.5, markeredgecolor="white",
            label="" if row else "mean, 95 % interval",
        )  # fmt: skip
        axes.annotate(
            f"{spread.mean:.2%} [{low:.2%}, {high:.2%}]", (spread.mean, row + 0.15), (0, -9),
            textcoords="offset points", ha="center", va="top", fontsize=9, color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(NAMES)), list(NAMES.values()))
    axes.tick_params(axis="y", length=0, labelsize=10, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(NAMES) - 0.45, -0.55)
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False, fontsize=9, labelcolor=MUTED)
    return png(figure)


def noise_plot(noise: NoiseSummary) -> bytes:
    """Plot the mean and the 95 % interval of accuracy and macro F1 by rate of label noise. Returns a PNG."""
    figure = Figure(figsize=(9, 4), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    axes = figure.add_subplot()
    style_axes(axes, "By label noise: mean over the folds and 95 % interval", "share of swapped training labels", "")
    rates = [one.rate for one in noise.rates]
    for name, color, dashes in (("accuracy", BLUE, "-"), ("macro_f1", GREEN, "--")):
        spreads = [one.metrics[name] for one in noise.rates]
        axes.plot(rates, [one.mean for one in spreads], marker="o", color=color, linestyle=dashes, label=NAMES[name])
        low, high = zip(*(one.interval for one in spreads), strict=True)
        axes.fill_between(rates, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set_xticks(rates)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.legend(loc="best", frameon=False, fontsize=9, labelcolor=MUTED)
    return png(figure)
