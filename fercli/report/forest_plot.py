"""The forest plot of differences with their intervals. Returns a PNG as bytes, like `fercli.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fercli.errors import one_line, shorten
from fercli.report.plots import DPI, png
from fercli.report.style import BLUE, INK, MUTED, ORANGE, RULE, escape_math, style_axes

_ROW = 0.36  # inches
_SIGN = str.maketrans("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class ForestRow:
    """One difference.

    Attributes:
        name: What differs; may have two lines.
        difference: In the units of the axis; None if undefined.
        interval: Its interval; None if undefined.
        gap: Whether a little space separates it from the row above.
    """

    name: str
    difference: float | None
    interval: tuple[float, float] | None
    gap: bool = False


def forest_plot(panels: Sequence[tuple[str, Sequence[ForestRow]]], x: str) -> bytes:
    """Plot differences as points on lines, side by side for each panel, around a line at zero.

    An interval that excludes zero is orange if all of it is below, blue if above.

    Args:
        panels: Title and rows of each; all have rows of the same names.
        x: Label of the axes.
    """
    rows = panels[0][1]
    places = _places(rows)
    lines = max(row.name.count("\n") + 1 for row in rows)
    height = 1.5 + _ROW * lines * (places[-1] + 1)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    width = 9.0 if len(panels) == 1 else 2.6 + 3.4 * len(panels)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for number, (axes, (title, own)) in enumerate(zip(grid, panels, strict=True)):
        _draw(axes, title, own, places, x, values=len(panels) == 1)
        if number == 0:
            axes.set_yticks(places, [_name(row.name) for row in rows], fontsize=9.5, color=INK)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(places[-1] + 0.7, -0.7)
    return png(figure)


def _places(rows: Sequence[ForestRow]) -> list[float]:
    places, at = [], -1.0
    for row in rows:
        at += 1.5 if row.gap else 1.0
        places.append(at)
    return places


def _draw(axes: Axes, title: str, rows: Sequence[ForestRow], places: Sequence[float], x: str, *, values: bool) -> None:
    style_axes(axes, title, escape_math(x), "")
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, linewidth=1)
    for row, place in zip(rows, places, strict=True):
        axes.axhline(place, color=RULE, linewidth=0.6, zorder=0)
        if row.difference is None:
            axes.text(0, place, "  undefined", va="center", fontsize=8.5, color=MUTED)
            continue
        color = MUTED
        if row.interval is not None:
            color = ORANGE if row.interval[1] < 0 else BLUE if row.interval[0] > 0 else MUTED
            axes.plot(row.interval, [place, place], color=color, linewidth=2.2, solid_capstyle="butt")
        axes.plot([row.difference], [place], "o", color=color, markersize=6.5, markeredgecolor="white")
        if values:
            at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            axes.annotate(_value(row), (1, place), (8, 0), va="center", fontsize=8.5, color=INK, **at)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7 if values else 4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}".translate(_SIGN) if value else "0"))
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.1), max(high, 0.1))


def _value(row: ForestRow) -> str:
    bounds = "" if row.interval is None else f"  [{', '.join(map(_signed, row.interval))}]"
    return f"{_signed(row.difference)}{bounds}"


def _signed(value: float | None) -> str:
    text = "" if value is None else f"{value:+.2f}"
    return ("0.00" if text in ("+0.00", "-0.00") else text).translate(_SIGN)


def _name(name: str) -> str:
    return escape_math("\n".join(shorten(one_line(line), 28, "middle") for line in name.split("\n")))
