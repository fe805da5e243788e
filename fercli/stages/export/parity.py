"""Whether an exported model gives the probabilities of its checkpoint, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import numpy as np
import numpy.typing as npt

from fercli.errors import FerError
from fercli.images import Pixels
from fercli.stages.export.summary import ParityRow, SpeedRow

Predict = Callable[[Pixels], npt.NDArray[np.float32]]
"""From uint8 faces (N, H, W) or (N, H, W, 3) to probabilities (N, emotions)."""

LIMITS = {"float32": 1e-4, "float16": 0.02}
"""The largest difference of probabilities that is accepted, by precision."""
BATCHES = (1, 64)
SECONDS = 1.0
"""Time for which each batch size is measured, on either side."""
_ENOUGH = 200


def compare(name: str, expected: npt.NDArray[np.float32], found: npt.NDArray[np.float32]) -> ParityRow:
    """Compare probabilities (N, emotions) of the same faces."""
    difference = np.abs(expected.astype(np.float64) - found)
    return ParityRow(
        faces=name,
        n=len(expected),
        largest=float(difference.max()),
        mean=float(difference.mean()),
        agreement=float((expected.argmax(1) == found.argmax(1)).mean()),
    )


def check(
    row: ParityRow,
    expected: npt.NDArray[np.float32],
    found: npt.NDArray[np.float32],
    emotions: Sequence[str],
    precision: str,
) -> None:
    """Raise FerError if the probabilities differ by more than the limit, naming the face that differs most."""
    limit = LIMITS.get(precision)
    if limit is None or row.largest <= limit:
        return
    face, emotion = np.unravel_index(np.abs(expected - found).argmax(), expected.shape)
    raise FerError(
        f"the exported model differs from the checkpoint: on {row.faces}, face {face + 1} of {row.n}, "
        f"{emotions[emotion]} is {found[face, emotion]:.4f} instead of {expected[face, emotion]:.4f} (accepted: "
        f"{limit:g}); the answers agree on {row.agreement:.1%}. Nothing was written; please report the model"
    )


def measure_speed(checkpoint: Predict, exported: Predict, faces: Pixels) -> Iterator[SpeedRow]:
    """Yield the time that each takes for batches of faces, in alternating calls."""
    for batch in BATCHES:
        given = np.resize(faces, (batch, *faces.shape[1:]))
        checkpoint(given), exported(given)
        times: tuple[list[float], list[float]] = ([], [])
        end = time.perf_counter() + 2 * SECONDS
        while not times[1] or (time.perf_counter() < end and len(times[0]) < _ENOUGH):
            for predict, seconds in zip((checkpoint, exported), times, strict=True):
                start = time.perf_counter()
                predict(given)
                seconds.append(time.perf_counter() - start)
        ours, theirs = (1000 * median(seconds) for seconds in times)
        yield SpeedRow(
            batch=batch, checkpoint_ms=round(ours, 3), exported_ms=round(theirs, 3), ratio=round(ours / theirs, 2)
        )
