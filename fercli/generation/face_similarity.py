"""Check that generated images look like faces: compare their correlation with train to that of real faces.

Any face, even one not trained on, correlates with the most similar of many train faces, since faces are alike; noise
and grey squares do not. Measured on FER2013 by benchmarks/likeness.py, the highest correlation with N train faces
(5 % quantile and median of 500 PublicTest faces; median of 200 images of noise):

    N              50            200           1,000         5,000         28,006
    real faces     0.31, 0.51    0.37, 0.56    0.43, 0.61    0.48, 0.66    0.52, 0.72
    noise          0.05          0.05          0.06          0.07          0.08

So a class is rejected if its median generated face correlates less than 19 of 20 real faces do. This bound only catches
images that show no face: blurred, distorted or expressionless faces pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fercli.datasets.index import Row
from fercli.errors import DataError
from fercli.generation.correlation_index import Values

HELD_OUT = 1024
"""Maximum number of real images of the other splits used as reference."""
QUANTILE = 0.05
MIN_HELD_OUT = 20
"""Minimum number of real images of the other splits for estimating the quantile; with fewer, `FLOOR` is used."""
FLOOR = 0.2
"""Below all measured real faces, above all noise."""


def held_out_indices(rows: Sequence[Row]) -> list[int]:
    """Return the indices of at most `HELD_OUT` real images of validation and test, evenly spaced."""
    real = [k for k, row in enumerate(rows) if row.split in ("validation", "test") and row.origin == "real"]
    return [real[k] for k in np.unique(np.linspace(0, len(real) - 1, HELD_OUT).astype(int))] if real else []


def refuse_unlike(nearest: Mapping[str, Values], held_out: Values, *, keep_anyway: bool, hint: str) -> list[str]:
    """Reject generated images that do not resemble real faces.

    Args:
        nearest: By emotion, the highest correlation of each generated image with a train face.
        held_out: The same for real images that are not in train.
        keep_anyway: Keep them instead.
        hint: Advice for the error message.

    Returns:
        The emotions whose images do not resemble faces; always empty without `keep_anyway`.

    Raises:
        DataError: there are such emotions, and `keep_anyway` is not set.
    """
    enough = len(held_out) >= MIN_HELD_OUT
    bound = float(np.quantile(held_out, QUANTILE)) if enough else FLOOR
    medians = {emotion: float(np.median(values)) for emotion, values in nearest.items() if len(values)}
    unlike = {emotion: median for emotion, median in medians.items() if median < bound}
    if unlike and not keep_anyway:
        worst = min(unlike, key=lambda emotion: unlike[emotion])
        reference = "19 of 20 real images of the other splits" if enough else "real faces"
        raise DataError(
            f"the generated images of {', '.join(unlike)} do not look like the faces of train: those of {worst} have a "
            f"median correlation of {unlike[worst]:.2f} with the most similar train face, {reference} have more than "
            f"{bound:.2f}; {hint}, or keep them with --keep-anyway (the images generated so far are kept)"
        )
    return list(unlike)
