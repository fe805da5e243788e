"""Plots: confusion matrix, training curves, ROC and precision-recall curves. Each function returns a PNG as bytes.

Plots use matplotlib's object interface and an Agg canvas, never pyplot: a library must not change its caller's backend
or current figure.
"""

from __future__ import annotations

import base64
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from fercli.images import Pixels, encode_png, fit_square
from fercli.metrics.confusion import Counts
from fercli.metrics.curves import ClassCurves
from fercli.report.style import BLUE, EMPTY, INK, MUTED, ORANGE, escape_math, label, line_styles, style_axes

DPI = 150
FACE_PIXELS = 160
"""Maximum size of faces in reports: 24 faces of a 224-px model would otherwise take megabytes."""

HEAT = LinearSegmentedColormap.from_list("heat", ["#f7fafd", "#c6dcef", "#6aa9d6", "#0072b2", "#00365a"])
_FEW_EPOCHS = 15
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": INK, "handlelength": 2.8}


def confusion_plot(confusion: Counts, emotions: Sequence[str], title: str) -> bytes:
    """Plot a confusion matrix as a heat map, with row percentages and counts.

    Args:
        confusion: (C, C), rows true, columns predicted. Empty rows are greyed out.
        emotions: The C names, in order.
        title: Title, such as split, n and accuracy. May have several lines; long lines are wrapped.
    """
    counts = np.asarray(confusion)
    classes = len(emotions)
    if counts.shape != (classes, classes):
        raise ValueError(f"a confusion matrix of shape {counts.shape} for {classes} emotions")
    support = counts.sum(axis=1)
    shares = counts / np.maximum(support, 1)[:, None]
    side = max(4.2, 0.86 * classes)
    figure = Figure(figsize=(side + 2, side + 1.7), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    axes.imshow(shares, cmap=HEAT, vmin=0, vmax=1)
    for row in range(classes):
        for column in range(classes):
            _cell(axes, row, column, int(counts[row, column]), float(shares[row, column]), int(support[row]))
    names = [label(name) for name in emotions]
    slanted = max(map(len, names), default=0) > 9
    axes.set_xticks(range(classes), names, rotation=35 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(range(classes), [f"{name}\nn = {k:,}" for name, k in zip(names, support, strict=True)])
    axes.tick_params(length=0, labelsize=10, labelcolor=INK)
    axes.set_xlabel("predicted", fontsize=11, color=MUTED, labelpad=8)
    axes.set_ylabel("true", fontsize=11, color=MUTED, labelpad=8)
    # White lines between the cells: minor ticks at the borders.
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    lines = [
        wrapped for line in title.splitlines() for wrapped in wrap(line, int(8 * (side + 2)))
    ]  # characters per inch
    figure.suptitle(escape_math("\n".join(lines)), fontsize=12, fontweight="bold", color=INK)
    return png(figure)


def _cell(axes: Axes, row: int, column: int, count: int, share: float, support: int) -> None:
    """Write the row percentage and count of a cell, in a colour that contrasts with the background."""
    if support == 0:
        axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=EMPTY, linewidth=0)
        axes.text(column, row, "–", ha="center", va="center", fontsize=11, color=MUTED)
        return
    color = contrasting(share) if count else MUTED
    bold = "bold" if row == column else "normal"
    at = (column, row)
    centred: dict[str, Any] = {"ha": "center", "va": "center", "color": color, "textcoords": "offset points"}
    axes.annotate(f"{share:.1%}", at, (0, 5.5), fontsize=11, fontweight=bold, **centred)
    axes.annotate(f"{count:,}", at, (0, -10), fontsize=8.5, **centred)


def contrasting(share: float) -> str:
    """Return the colour of text on the colour of a share, 0..1, in a heat map."""
    red, green, blue, _ = HEAT(share)
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else INK


def curves_plot(epochs: Mapping[str, Sequence[float]], best_epoch: int | None = None) -> bytes:
    """Plot loss, accuracy with the best epoch marked, and learning rate over the epochs.

    Args:
        epochs: The columns of metrics.csv, all of the same length: epoch, and any of train_loss, validation_loss,
            train_accuracy, validation_accuracy and learning_rate. NaN leaves a gap.
        best_epoch: The epoch of the best checkpoint; by default the first one with the highest validation accuracy.
    """
    x = np.asarray(epochs["epoch"], np.float64)
    figure = Figure(figsize=(12, 3.7), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    loss, accuracy, rate = figure.subplots(1, 3)
    for axes, what, y in ((loss, "loss", "Loss"), (accuracy, "accuracy", "Accuracy")):
        style_axes(axes, y, "epoch", "")
        _line(axes, x, epochs.get(f"train_{what}"), MUTED, "train", dashes=(0, (4.0, 1.5)))
        _line(axes, x, epochs.get(f"validation_{what}"), BLUE, "validation")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _mark_best(accuracy, x, epochs.get("validation_accuracy"), best_epoch)
    style_axes(rate, "Learning rate", "epoch", "")
    _line(rate, x, epochs.get("learning_rate"), INK, "")
    _scale_rate(rate, epochs.get("learning_rate"))
    for axes in (loss, accuracy, rate):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
        if len(x) == 1:
            axes.set_xlim(x[0] - 0.5, x[0] + 0.5)
    for axes in (loss, accuracy):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, **LEGEND)
    return png(figure)


def _line(
    axes: Axes,
    x: npt.NDArray[np.float64],
    values: Sequence[float] | None,
    color: str,
    name: str,
    dashes: str | tuple[float, tuple[float, ...]] = "-",
) -> None:
    """Plot one column; with few epochs also as dots, since a single point makes no line."""
    if values is None:
        return
    marker = "o" if len(x) <= _FEW_EPOCHS else ""
    y = np.asarray(values, np.float64)
    axes.plot(x, y, color=color, linestyle=dashes, linewidth=1.8, marker=marker, markersize=4, label=name)


def _mark_best(axes: Axes, x: npt.NDArray[np.float64], values: Sequence[float] | None, best_epoch: int | None) -> None:
    """Mark the best epoch, with its validation accuracy in the legend."""
    if values is None:
        return
    y = np.asarray(values, np.float64)
    known = np.flatnonzero(np.isfinite(y))
    if not len(known):
        return
    at = int(known[np.argmax(y[known])])
    if best_epoch is not None:
        found = np.flatnonzero(x == best_epoch)
        if not len(found):
            raise ValueError(f"epoch {best_epoch} is not among the given epochs")
        at = int(found[0])
    best = f"best: epoch {x[at]:.0f}, {y[at]:.2%}"
    axes.axvline(float(x[at]), color=ORANGE, linewidth=1, linestyle=(0, (2.0, 2.0)), zorder=1)
    axes.plot([x[at]], [y[at]], "o", color=ORANGE, markersize=7, markeredgecolor="white", label=best, zorder=5)


def _scale_rate(axes: Axes, values: Sequence[float] | None) -> None:
    """Use a logarithmic axis if the learning rate spans a factor of fifty or more."""
    positive = [value for value in values or [] if math.isfinite(value) and value > 0]
    if positive and max(positive) / min(positive) >= 50:
        axes.set_yscale("log")
    elif positive:
        axes.set_ylim(0, 1.12 * max(positive))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def roc_plot(curves: Mapping[str, ClassCurves]) -> bytes:
    """Plot one-vs-rest ROC curves next to precision-recall curves.

    Args:
        curves: The result of `fercli.metrics.curves.roc_curves`; the legends show the areas, the title their mean. If
            it is empty, the plot states the reason.
    """
    height = 5.7 + 0.2 * math.ceil(len(curves) / 2)  # the legends have two columns
    figure = Figure(figsize=(11, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1))
    halves = figure.subfigures(1, 2, squeeze=False)[0]
    roc, recall = (half.add_subplot() for half in halves)
    mean = f" (macro AUC {np.mean([c.auc for c in curves.values()]):.3f})" if curves else ""
    style_axes(roc, f"ROC, each class against the rest{mean}", "false positive rate", "true positive rate")
    style_axes(recall, "Precision and recall", "recall", "precision")
    roc.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (2.0, 2.0)))
    for name, style in line_styles(list(curves)).items():
        curve, shown = curves[name], label(name)
        line: dict[str, Any] = {"color": style.color, "linestyle": style.dashes, "linewidth": 1.7}
        roc.plot(curve.fpr, curve.tpr, label=f"{shown}, AUC {curve.auc:.3f}", **line)
        # Steps: linear interpolation of precision between thresholds would be too optimistic.
        area = f"{shown}, AP {curve.average_precision:.3f}"
        recall.plot(curve.recall, curve.precision, drawstyle="steps-post", label=area, **line)
    for half, axes in zip(halves, (roc, recall), strict=True):
        axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
        if curves:  # below the plot: inside, the legend could hide the curves of a weak model
            half.legend(loc="outside lower center", ncols=2, **LEGEND)
        else:
            axes.text(0.03, 0.93, "no curves: fewer than two emotions occur", color=MUTED, fontsize=10)
    return png(figure)


def data_uri(png: bytes) -> str:
    """Return a PNG as a `data:` URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def face_uri(pixels: Pixels) -> str:
    """Return a face, uint8 (H, W) or (H, W, 3), as a `data:` URI, downscaled to FACE_PIXELS."""
    if max(pixels.shape[:2]) > FACE_PIXELS:
        pixels = fit_square(pixels, FACE_PIXELS)
    return data_uri(encode_png(pixels))


def png(figure: Figure) -> bytes:
    """Return a matplotlib figure as a PNG."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():  # glyphs that matplotlib's font lacks are shown as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # No software tag, so that the bytes do not depend on matplotlib's version.
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
