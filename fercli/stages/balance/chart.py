"""The chart of a plan: existing and added images of each class, one panel per split."""

from __future__ import annotations

from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from fercli.errors import one_line
from fercli.report.plots import DPI, png
from fercli.report.style import BLUE, GREEN, INK, MUTED, ORANGE, escape_math, label, style_axes
from fercli.stages.balance.plan import Need, Plan

FIGURE = "balance.png"

_COLORS = {"augment": ORANGE, "generate": GREEN}


def balance_figure(plan: Plan, title: str, *, done: bool = False) -> bytes:
    """Plot existing and added images of each class as horizontal bars labelled with their counts.

    Splits that are not filled show missing images as dashed bars.

    Args:
        plan: The plan; splits without any image are left out.
        title: Title of the figure.
        done: Whether the images have been generated already.
    """
    shown = {split: needs for split, needs in plan.needs.items() if any(need.target for need in needs.values())}
    classes = max((len(needs) for needs in shown.values()), default=1)
    width = 1.4 + 3.9 * max(1, len(shown))
    lines = wrap(one_line(title)[:200], int(9 * width))  # nine characters per inch
    size = width, 1.8 + 0.42 * max(3, classes) + 0.2 * len(lines)
    figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    for axes, (split, needs) in zip(
        figure.subplots(1, max(1, len(shown)), squeeze=False)[0], shown.items(), strict=False
    ):
        _panel(axes, split, needs, split in plan.filled, "generated" if done else "to be generated")
    handles = {text: bar for axes in figure.axes for bar, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    if handles:
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9.5,
            labelcolor=INK,
        )  # fmt: skip
    figure.suptitle(escape_math("\n".join(lines)), fontsize=12, fontweight="bold", color=INK)
    return png(figure)


def _panel(axes: Axes, split: str, needs: dict[str, Need], filled: bool, generated: str) -> None:
    """Plot one split, the first class on top."""
    names, values = [label(emotion) for emotion in needs], list(needs.values())
    positions = range(len(values))
    have, needed = sum(need.have for need in values), sum(need.needed for need in values)
    added = sum(need.added for need in values)
    style_axes(axes, f"{split}: {have:,} → {have + added:,}" if filled else f"{split}: {have:,}", "images", "")
    axes.barh(positions, [need.have for need in values], height=0.68, color=BLUE, label="before")
    lefts, widths = [need.have for need in values], [need.needed for need in values]
    if filled:
        for part, text in (("augment", "added by augmentation"), ("generate", generated)):
            counts = [getattr(need, part) for need in values]
            if any(counts):
                axes.barh(positions, counts, 0.68, lefts, color=_COLORS[part], label=text)
                lefts = [left + count for left, count in zip(lefts, counts, strict=True)]
    elif needed:
        axes.barh(
            positions, widths, 0.6, lefts, facecolor="none", edgecolor=MUTED, linestyle=(0, (3.0, 2.0)), linewidth=0.9,
            label="up to the target; not filled",
        )  # fmt: skip
    most = max(need.target for need in values)
    for position, need in enumerate(values):
        more = need.added if filled else 0  # nothing is added to a split that is not filled
        text = f"{need.have:,} + {more:,}" if more else f"{need.have:,}"
        end = need.have + (more if filled else need.needed)
        axes.annotate(
            text, (end, position), (4, 0), textcoords="offset points", va="center", fontsize=9,
            color=INK if filled else MUTED,
        )  # fmt: skip
    axes.set_yticks(positions, names)
    axes.tick_params(axis="y", length=0, labelsize=10, labelcolor=INK)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.5 * most)  # room for the numbers
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
