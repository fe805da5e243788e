"""Whether generated faces look like faces at all: how near they come to the train split, beside real faces.

A face that nobody trained on still correlates with the most similar of many train faces, since all faces are alike;
noise and grey squares do not. Measured on FER2013 by benchmarks/likeness.py, the highest correlation with N train faces
(5 % quantile and median of 500 PublicTest faces; median of 200 images of noise):

    N              50            200           1,000         5,000         28,006
    real faces     0.31, 0.51    0.37, 0.56    0.43, 0.61    0.48, 0.66    0.52, 0.72
    noise          0.05          0.05          0.06          0.07          0.08

So a class whose median generated face comes less near than 19 of 20 real faces is refused. That is a bound for what
shows nothing: faces that are blurred, torn or without an emotion pass it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fercli.datasets.index import Row
from fercli.errors import DataError
from fercli.generation.correlation import Values

HELD_OUT = 1024
"""Real images of the other splits at most that generated ones are compared with."""
QUANTILE = 0.05
FEWEST = 20
"""Real images of the other splits from which their quantile is taken; with fewer the bound is `FLOOR`."""
FLOOR = 0.2
"""Below all real faces measured, above all noise."""


def held_out_of(rows: Sequence[Row]) -> list[int]:
    """Return the positions of at most `HELD_OUT` real images of validation and test, evenly spread over them."""
    real = [k for k, row in enumerate(rows) if row.split in ("validation", "test") and row.origin == "real"]
    return [real[k] for k in np.unique(np.linspace(0, len(real) - 1, HELD_OUT).astype(int))] if real else []


def refuse_unlike(nearest: Mapping[str, Values], held_out: Values, *, keep_anyway: bool, hint: str) -> list[str]:
    """Refuse generated images that resemble no real face.

    Args:
        nearest: By emotion, the highest correlation of each generated image with a train face.
        held_out: The same of real images that are not in train.
        keep_anyway: Do not refuse them.
        hint: What to do about it, for the message.

    Returns:
        The emotions whose images resemble none; there can be some only with `keep_anyway`.

    Raises:
        DataError: there is one, without `keep_anyway`.
    """
    enough = len(held_out) >= FEWEST
    bound = float(np.quantile(held_out, QUANTILE)) if enough else FLOOR
    medians = {emotion: float(np.median(values)) for emotion, values in nearest.items() if len(values)}
    unlike = {emotion: median for emotion, median in medians.items() if median < bound}
    if unlike and not keep_anyway:
        worst = min(unlike, key=lambda emotion: unlike[emotion])
        beside = "19 of 20 real images of the other splits come nearer" if enough else "real faces come nearer"
        raise DataError(
            f"the generated images of {', '.join(unlike)} do not look like the faces of train: of {worst} the nearest "
            f"train face correlates by {unlike[worst]:.2f} in the middle, and {beside} than {bound:.2f}; {hint}, or "
            "keep them with --keep-anyway (what was made so far is kept)"
        )
    return list(unlike)
