"""Plots of a search: its history, the settings' importance, slices, and parallel coordinates. Each returns a PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from fercli.report.plots import DPI, png
from fercli.report.style import BLUE, INK, MUTED, ORANGE, RULE, label, style_axes

_MAP = LinearSegmentedColormap.from_list("value", ["#cfd8e3", "#6aa9d6", "#0072b2", "#00264a"])
_COLUMNS = 3


@dataclass(frozen=True)
class Point:
    """One trial in a plot.

    Attributes:
        number: Its number.
        settings: Its point of the space.
        value: The optimised metric; NaN if it was pruned or failed.
    """

    number: int
    settings: Mapping[str, Any]
    value: float

    @property
    def complete(self) -> bool:
        """Whether the trial ran to its end."""
        return not math.isnan(self.value)


@dataclass(frozen=True)
class Axis:
    """A setting as a coordinate.

    Attributes:
        name: The setting.
        choices: Its listed values; None for a range.
        log: Whether a range is logarithmic.
    """

    name: str
    choices: tuple[Any, ...] | None = None
    log: bool = False

    def place(self, value: Any) -> float:
        """Return where a value lies: its number in the list, or itself."""
        return float(value) if self.choices is None else float(self.choices.index(value))


def history_plot(points: Sequence[Point], metric: str, *, minimise: bool) -> bytes:
    """Plot each complete trial's metric by its number, the best so far, and the trials that were pruned or failed."""
    figure = Figure(figsize=(9, 3.4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    style_axes(axes, f"validation {metric} by trial", "trial", metric)
    complete = [point for point in points if point.complete]
    numbers, values = [p.number for p in complete], [p.value for p in complete]
    axes.scatter(numbers, values, s=22, color=BLUE, label="complete", zorder=3)
    if complete:
        best = (np.minimum if minimise else np.maximum).accumulate(values)
        axes.step(numbers, best, where="post", color=ORANGE, linewidth=1.6, label="best so far")
    if ended := [point.number for point in points if not point.complete]:
        bottom = axes.get_ylim()[0]
        axes.scatter(ended, [bottom] * len(ended), marker="x", s=22, color=MUTED, label="pruned or failed", zorder=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    return png(figure)


def importance_plot(importance: Mapping[str, float]) -> bytes:
    """Plot the importance of each setting, the largest first."""
    figure = Figure(figsize=(9, 0.8 + 0.36 * len(importance)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    style_axes(axes, "share of the variance explained", "", "")
    order = sorted(importance.items(), key=lambda item: item[1])
    bars = axes.barh([label(name) for name, _ in order], [value for _, value in order], color=BLUE, height=0.62)
    axes.bar_label(bars, [f"{value:.0%}" for _, value in order], padding=4, fontsize=9, color=INK)
    axes.set_xlim(0, max(1e-9, *importance.values()) * 1.12)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(False, axis="y")
    return png(figure)


def slices_plot(points: Sequence[Point], axes_of: Sequence[Axis], metric: str) -> bytes:
    """Plot the metric of the complete trials against each setting."""
    complete = [point for point in points if point.complete]
    rows = math.ceil(len(axes_of) / _COLUMNS)
    columns = min(_COLUMNS, len(axes_of))
    figure = Figure(figsize=(9, 2.7 * rows), dpi=DPI, layout="constrained")
    values = [point.value for point in complete]
    for number, axis in enumerate(axes_of):
        axes = figure.add_subplot(rows, columns, number + 1)
        style_axes(axes, label(axis.name), "", metric if number % columns == 0 else "")
        places = [axis.place(point.settings[axis.name]) for point in complete]
        if axis.choices is not None:  # spread sideways, so that equal values remain visible
            places = [
                place + 0.28 * ((point.number * 0.618) % 1 - 0.5) for place, point in zip(places, complete, strict=True)
            ]
            _choices(axes, axis)
        elif axis.log:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.xaxis.set_major_locator(LogLocator(numticks=4))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.scatter(places, values, s=16, color=BLUE, alpha=0.7, linewidths=0)
        if axis.log and places:
            _whole_decades(axes)
    return png(figure)


def parallel_plot(points: Sequence[Point], axes_of: Sequence[Axis], metric: str, minimise: bool) -> bytes:
    """Plot each complete trial as a line through its settings; the better, the darker and the further in front."""
    complete = sorted((p for p in points if p.complete), key=lambda p: p.value, reverse=minimise)
    values = [point.value for point in complete]
    scale = Normalize(min(values), max(values) if max(values) > min(values) else min(values) + 1)
    colors = _MAP.reversed() if minimise else _MAP
    figure = Figure(figsize=(9, 4.2), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    heights = [_heights(axis, [point.settings[axis.name] for point in complete]) for axis in axes_of]
    for number, point in enumerate(complete):
        line = [height[number] for height in heights]
        axes.plot(range(len(axes_of)), line, color=colors(scale(point.value)), linewidth=1.3, alpha=0.85)
    for number, axis in enumerate(axes_of):
        axes.axvline(number, color=RULE, linewidth=1, zorder=0)
        for text, height in _ticks(axis, [point.settings[axis.name] for point in complete]):
            axes.annotate(
                text, (number, height), (4, 0), textcoords="offset points", fontsize=8, color=INK, va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
            )  # fmt: skip
    axes.set_xticks(range(len(axes_of)), [label(axis.name) for axis in axes_of], fontsize=9, color=INK)
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(axes_of) - 1 + 0.45)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(ScalarMappable(scale, colors), ax=axes, pad=0.01, aspect=30)
    bar.set_label(metric, fontsize=9, color=MUTED)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    bar.outline.set_visible(False)
    return png(figure)


def _whole_decades(axes: Axes) -> None:
    """Extend a logarithmic axis to whole decades, so that it has labels at both ends."""
    low, high = axes.dataLim.intervalx
    axes.set_xlim(10 ** math.floor(math.log10(low)) * 0.9, 10 ** math.ceil(math.log10(high)) * 1.1)


def _choices(axes: Axes, axis: Axis) -> None:
    assert axis.choices is not None
    axes.set_xticks(range(len(axis.choices)), [label(str(value)) for value in axis.choices], fontsize=8.5)
    axes.set_xlim(-0.5, len(axis.choices) - 0.5)


def _heights(axis: Axis, values: Sequence[Any]) -> list[float]:
    """Return the height, 0 to 1, of each value on a vertical axis."""
    if axis.choices is not None:
        return [axis.place(value) / max(1, len(axis.choices) - 1) for value in values]
    places = [math.log(value) if axis.log else float(value) for value in values]
    low, high = min(places), max(places)
    return [(place - low) / (high - low) if high > low else 0.5 for place in places]


def _ticks(axis: Axis, values: Sequence[Any]) -> list[tuple[str, float]]:
    """Return the labels of a vertical axis and their heights."""
    if axis.choices is not None:
        shown = [value for value in axis.choices if value in values]
        return list(zip((label(str(value)) for value in shown), _heights(axis, shown), strict=True))
    low, high = min(values), max(values)
    return [(f"{low:.3g}", 0.0), (f"{high:.3g}", 1.0)] if high > low else [(f"{low:.3g}", 0.5)]
