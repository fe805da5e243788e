"""The style of plots: one fixed colour per emotion, and a few greys.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), which are distinguishable with all common kinds
of colour blindness; their yellow is too faint for lines on white and is replaced by grey and black. Some classes also
differ in their dashes, so that plots can be read when printed in grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fercli.errors import one_line, shorten
from fercli.files import as_text
from fercli.sanitize import replace_unprintable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1f2430"
MUTED = "#6b7280"
RULE = "#e3e6eb"
EMPTY = "#f3f4f6"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"

Dashes = tuple[int, tuple[float, ...]] | str


@dataclass(frozen=True)
class LineStyle:
    """A class's colour (#rrggbb) and dashes (as matplotlib takes them)."""

    color: str
    dashes: Dashes


_DASHED: Dashes = (0, (5.0, 1.6))
_DOTTED: Dashes = (0, (1.4, 1.2))

_STYLES: dict[str, LineStyle] = {
    "angry": LineStyle("#d55e00", "-"),
    "disgust": LineStyle("#009e73", "-"),
    "fear": LineStyle("#cc79a7", "-"),
    "happy": LineStyle("#e69f00", "-"),
    "sad": LineStyle("#0072b2", "-"),
    "surprise": LineStyle("#56b4e9", _DASHED),
    "neutral": LineStyle("#7f7f7f", _DASHED),
    "contempt": LineStyle("#222222", _DOTTED),
}

# For other classes: Tol's "muted" scheme (Paul Tol, "Colour Schemes", 2021), always dashed.
_EXTRA_COLORS = ("#332288", "#882255", "#117733", "#999933", "#aa4499", "#44aa99", "#cc6677", "#88ccee")


def line_styles(emotions: Sequence[str]) -> dict[str, LineStyle]:
    """Return each emotion's colour and dashes.

    The eight known emotions always look the same. Other names get extra colours in order, repeating after eight.
    """
    unknown = [name for name in emotions if name not in _STYLES]
    spare = {name: LineStyle(_EXTRA_COLORS[i % len(_EXTRA_COLORS)], _DASHED) for i, name in enumerate(unknown)}
    return {name: _STYLES.get(name) or spare[name] for name in emotions}


def escape_math(text: str) -> str:
    r"""Escape text for matplotlib, which parses dollar signs as formulas.

    Names are untrusted: `$\x$` would fail to parse, and lone surrogates and control characters cannot be rendered.
    """
    return replace_unprintable(as_text(text)).replace("$", r"\$")


def label(name: str) -> str:
    """Return a name as a one-line label of at most 20 characters, so that it fits into the plot."""
    return escape_math(shorten(one_line(name), 20))


def style_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes a title, labels, a light grid, and spines at the left and bottom only."""
    axes.set_title(escape_math(title), fontsize=11, fontweight="bold", color=INK, loc="left", pad=8)
    axes.set_xlabel(x, fontsize=9.5, color=MUTED)
    axes.set_ylabel(y, fontsize=9.5, color=MUTED)
    axes.tick_params(labelsize=9, colors=MUTED, length=3)
    axes.grid(True, color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
        spine.set_linewidth(0.8)
