"""The plot of emotions over time. Returns a PNG as bytes, like the functions of `fercli.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from fercli.progress import clock
from fercli.report.plots import DPI, png
from fercli.report.style import INK, label, line_styles, style_axes

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """One person's probabilities: the panel's title, times (N,), probabilities (N, C), and the pieces between gaps."""

    title: str
    times: Floats
    values: Floats
    pieces: Sequence[slice]


def timeline_plot(bands: Sequence[Band], emotions: Sequence[str], end: float, step: float) -> bytes:
    """Plot each person's probabilities over time as stacked areas; gaps between pieces stay white.

    Args:
        bands: The people, one panel each.
        emotions: The C names, in order.
        end: The time of the last frame, seconds.
        step: Seconds between frames: the width of a face that is seen in one frame only.
    """
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=(11, 1.1 + 1.75 * max(1, len(bands))), dpi=DPI, layout=layout)
    grid = figure.subplots(max(1, len(bands)), 1, squeeze=False, sharex=True)[:, 0]
    colors = [line_styles(emotions)[name].color for name in emotions]
    for axes, band in zip(grid, bands, strict=False):
        style_axes(axes, band.title, "", "")
        for piece in band.pieces:
            times, values = band.times[piece], band.values[piece]
            # Half a step on either side, so that a single frame has a width and pieces reach to their gaps.
            times = np.concatenate([[times[0] - step / 2], times, [times[-1] + step / 2]])
            values = np.concatenate([values[:1], values, values[-1:]])
            axes.stackplot(times, values.T, colors=colors, linewidth=0)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_locator(MaxNLocator(2))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    if not bands:
        style_axes(grid[0], "No face was found", "", "")
        grid[0].set_yticks([])
    last: Any = grid[-1]
    last.set_xlim(-step / 2, max(end, step) + step / 2)
    last.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 1.5, 2, 3, 5, 6, 10]))
    precise = end < 20
    last.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g} s" if precise else clock(max(x, 0))))
    patches = [Patch(color=color, label=label(name)) for name, color in zip(emotions, colors, strict=True)]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=9, labelcolor=INK
    )
    return png(figure)
