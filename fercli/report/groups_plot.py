"""The plot of accuracy by group. Returns a PNG as bytes, like the functions of `fercli.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from fercli.report.plots import DPI, LEGEND, png
from fercli.report.style import BLUE, INK, MUTED, ORANGE, label, style_axes

MAX_ROWS = 40
"""Maximum number of groups in a plot."""


@dataclass(frozen=True)
class GroupRow:
    """A group: its name, number of images, accuracy and interval in 0..1, and whether to emphasise it."""

    name: str
    n: int
    accuracy: float
    interval: tuple[float, float]
    emphasis: bool = False


def groups_plot(rows: Sequence[GroupRow], accuracy: float, by: str) -> bytes:
    """Plot the accuracy of each group as a dot with its 95 % interval.

    Args:
        rows: The groups from top to bottom; of more than MAX_ROWS those with the most images.
        accuracy: That of all images, drawn as a line.
        by: What the groups are, for the title.
    """
    large = sorted(rows, key=lambda row: (-row.emphasis, -row.n))[:MAX_ROWS]
    shown = [row for row in rows if row in large]
    few = f", the {len(shown)} largest of {len(rows)} groups" if len(shown) < len(rows) else ""
    figure = Figure(figsize=(8.4, 1.7 + 0.31 * len(shown)), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12))
    axes = figure.add_subplot()
    style_axes(axes, f"Accuracy by {label(by)}{few}", "accuracy, 95 % interval", "")
    axes.grid(False, axis="y")
    axes.axvline(accuracy, color=MUTED, linewidth=1, linestyle=(0, (4.0, 1.5)), label=f"all images: {accuracy:.1%}")
    for at, row in enumerate(shown):
        color = ORANGE if row.emphasis else BLUE
        axes.plot(row.interval, (at, at), color=color, linewidth=1.8, solid_capstyle="butt")
        axes.plot(row.accuracy, at, "o", color=color, markersize=6.5, markeredgecolor="white", zorder=5)
        where = axes.get_yaxis_transform()
        axes.text(1.01, at, f"n = {row.n:,}", transform=where, va="center", fontsize=8.5, color=MUTED)
    if any(row.emphasis for row in shown):
        axes.plot([], [], "o-", color=ORANGE, markersize=6.5, label="largest gap")
    axes.set_yticks(range(len(shown)), [label(row.name) for row in shown])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside lower center", ncols=2, **LEGEND)
    return png(figure)
