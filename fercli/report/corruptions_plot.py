"""The plot of accuracy under corruptions. Returns a PNG as bytes, like the functions of `fercli.report.plots`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from fercli.report.plots import DPI, LEGEND, png
from fercli.report.style import BLUE, INK, MUTED, escape_math, label, style_axes

_COLUMNS = 4


def corruptions_plot(
    curves: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]],
    clean: float,
    clean_interval: Sequence[float],
    notes: Mapping[str, str],
) -> bytes:
    """Plot accuracy against strength, one panel for each corruption, all on one scale.

    Args:
        curves: Accuracy at strengths 1, 2, … and its intervals [low, high], by corruption.
        clean: Accuracy at strength 0.
        clean_interval: Its interval.
        notes: A second line for each panel.
    """
    columns = min(_COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    size = (max(4.6, 2.75 * columns + 0.5), 2.5 * rows + 0.6)
    figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for number, (name, (accuracy, intervals)) in enumerate(curves.items()):
        axes = grid[divmod(number, columns)]
        style_axes(axes, label(name), "", "")
        axes.set_title(axes.get_title("left"), loc="left", fontsize=11, fontweight="bold", color=INK, pad=17)
        axes.text(0, 1.03, escape_math(notes[name]), transform=axes.transAxes, fontsize=7.5, color=MUTED)
        x = range(len(accuracy) + 1)
        low, high = zip(clean_interval, *intervals, strict=True)
        names = (f"clean: {clean:.1%}", "accuracy", "95 % interval") if number == 0 else (None, None, None)
        axes.axhline(clean, color=MUTED, linewidth=1, linestyle=(0, (4.0, 1.5)), label=names[0])
        axes.plot(x, [clean, *accuracy], "o-", color=BLUE, linewidth=1.8, markersize=4, label=names[1])
        axes.fill_between(x, low, high, color=BLUE, alpha=0.15, linewidth=0, label=names[2])
        axes.set(xticks=list(x), ylim=(0, 1))
        if number + columns >= len(curves):  # nothing below it
            axes.set_xlabel("strength")
            axes.tick_params(labelbottom=True)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    for empty in grid.flat[len(curves) :]:
        empty.set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, **LEGEND)
    return png(figure)
