"""Valence and arousal in the format of the index: how pleasant and how excited a face looks, each from -1 to 1.

They are the two dimensions of affect (J. A. Russell, "A circumplex model of affect", JPSP 39, 1980) that AffectNet
annotates beside the emotion (Mollahosseini et al. 2017). A face has both or neither: one alone counts as none.
"""

from __future__ import annotations

import math

AFFECT = ("valence", "arousal")
"""The names of the two, in the order of all arrays."""
AFFECT_COLUMNS = (*AFFECT, *(f"annotated_{name}" for name in AFFECT))
"""Columns of an evaluation's predictions, after those of the emotions; empty where a face has no annotation."""


def format_affect(valence: float | None, arousal: float | None) -> tuple[str, str]:
    """Return the two cells of the index; empty unless both numbers are in -1..1, as -2 (not annotated) is not.

    >>> format_affect(0.5, -0.25), format_affect(-2, -2)
    (('0.5', '-0.25'), ('', ''))
    """
    if valence is None or arousal is None or not (_is_valid(valence) and _is_valid(arousal)):
        return "", ""
    return _cell(valence), _cell(arousal)


def parse_affect(valence: str, arousal: str) -> tuple[float, float] | None:
    """Return the numbers of the two cells, or None if both are empty.

    Raises:
        ValueError: one of them is not a number in -1..1, or only one is given.
    """
    if not (valence or arousal):
        return None
    try:
        found = float(valence), float(arousal)
    except ValueError as error:
        raise ValueError(f"valence '{valence[:20]}' and arousal '{arousal[:20]}' are not two numbers") from error
    if not all(map(_is_valid, found)):
        raise ValueError(f"valence {found[0]:g} and arousal {found[1]:g} are not both in -1 to 1")
    return found


def _is_valid(value: float) -> bool:
    return math.isfinite(value) and -1 <= value <= 1


def _cell(value: float) -> str:
    return repr(round(float(value), 6) + 0.0)  # adding zero turns -0.0 into 0.0
