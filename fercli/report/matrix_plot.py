"""The heat map of a cross-dataset matrix. Returns a PNG as bytes, like the functions of `fercli.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from fercli.report.plots import DPI, HEAT, contrasting, png
from fercli.report.style import EMPTY, INK, MUTED, ORANGE, label, style_axes


@dataclass(frozen=True)
class HeatCell:
    """A cell: its value in 0..1, None if undefined, the line below it, and whether to frame it."""

    value: float | None
    note: str = ""
    frame: bool = False


def matrix_plot(cells: Sequence[Sequence[HeatCell]], rows: Sequence[str], columns: Sequence[str], title: str) -> bytes:
    """Plot values by row and column as a heat map.

    Args:
        cells: (R, C) cells.
        rows: The R names.
        columns: The C names.
        title: The title; the legend says that frames mark training on images of the same pack.
    """
    size = (3.6 + 1.45 * len(columns), 2.2 + 0.72 * len(rows))
    figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    axes = figure.add_subplot()
    values = np.array([[0.0 if cell.value is None else cell.value for cell in row] for row in cells])
    axes.imshow(values, cmap=HEAT, vmin=0, vmax=1, aspect="auto")
    style_axes(axes, title, "tested on", "model")
    axes.grid(False)
    for row, line in enumerate(cells):
        for column, cell in enumerate(line):
            corner = (column - 0.5, row - 0.5)
            if cell.value is None:
                axes.add_patch(Rectangle(corner, 1, 1, facecolor=EMPTY))
            centred: dict[str, Any] = {"ha": "center", "va": "center", "textcoords": "offset points"}
            color = MUTED if cell.value is None else contrasting(cell.value)
            text = "–" if cell.value is None else f"{cell.value:.1%}"
            axes.annotate(text, (column, row), (0, 6), fontsize=11, fontweight="bold", color=color, **centred)
            axes.annotate(cell.note, (column, row), (0, -9), fontsize=7.5, color=color, **centred)
            if cell.frame:
                inner = (column - 0.47, row - 0.46)
                axes.add_patch(Rectangle(inner, 0.94, 0.92, fill=False, edgecolor=ORANGE, linewidth=2.2))
    slanted = max(len(name) for name in columns) > 12
    axes.set_xticks(
        range(len(columns)),
        [label(name) for name in columns],
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
    )
    axes.set_yticks(range(len(rows)), [label(name) for name in rows])
    axes.tick_params(length=0, labelsize=10, labelcolor=INK)
    axes.spines[:].set_visible(False)
    if any(cell.frame for line in cells for cell in line):
        patch = Rectangle(
            (0, 0), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.2, label="trained on images of this pack"
        )
        figure.legend(handles=[patch], loc="outside lower center", frameon=False, fontsize=9, labelcolor=INK)
    return png(figure)
