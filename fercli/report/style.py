"""How everything drawn looks: one colour an emotion, everywhere, and the few greys around it.

The colours are Okabe and Ito's ("Color Universal Design", 2008), which people with any of the common kinds of colour
blindness tell apart; their yellow is too faint for a line on white and gives way to a grey and a black. Neighbouring
classes also differ in their dashes, so that a picture printed in grey can still be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fercli.errors import one_line, shorten
from fercli.files import as_text
from fercli.sanitize import visible

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

# For classes that are none of ours: Tol's "muted" scheme (Paul Tol, "Colour Schemes", 2021), always dashed.
_OTHERS = ("#332288", "#882255", "#117733", "#999933", "#aa4499", "#44aa99", "#cc6677", "#88ccee")


def line_styles(emotions: Sequence[str]) -> dict[str, LineStyle]:
    """Return each emotion's colour and dashes.

    The eight emotions look the same whichever others stand beside them. Other names take further colours in their
    order here, and after eight of them the first again.
    """
    unknown = [name for name in emotions if name not in _STYLES]
    spare = {name: LineStyle(_OTHERS[i % len(_OTHERS)], _DASHED) for i, name in enumerate(unknown)}
    return {name: _STYLES.get(name) or spare[name] for name in emotions}


def plain(text: str) -> str:
    r"""Return `text` so that matplotlib draws it as it is: its dollar signs are no formula.

    Names come from data. `$\x$` would otherwise be parsed, and fail; half a surrogate pair and control
    characters cannot be drawn at all.
    """
    return visible(as_text(text)).replace("$", r"\$")


def label(name: str) -> str:
    """Return a name as a label of one line, of 20 characters at most: a longer one would run out of the picture."""
    return plain(shorten(one_line(name), 20))


def tidy(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes their title, labels, a light grid, and no frame but at the left and below."""
    axes.set_title(plain(title), fontsize=11, fontweight="bold", color=INK, loc="left", pad=8)
    axes.set_xlabel(x, fontsize=9.5, color=MUTED)
    axes.set_ylabel(y, fontsize=9.5, color=MUTED)
    axes.tick_params(labelsize=9, colors=MUTED, length=3)
    axes.grid(True, color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
        spine.set_linewidth(0.8)
