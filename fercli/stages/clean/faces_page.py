"""The page's part about images without a face: counts by emotion, an even sample of what goes and what is turned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fercli.datasets.duplicates import NO_FACE
from fercli.datasets.index import emotions_of
from fercli.datasets.reading import read_checked
from fercli.faces.cropping import rotate_upright
from fercli.report.plots import face_uri
from fercli.stages.clean.face_filter import SIDE
from fercli.stages.clean.findings import Findings

_SHOWN = 60
_TURNED_SHOWN = 24


def faces_context(found: Findings, folder: Path) -> dict[str, Any] | None:
    """Return what the template is filled with, or None where no faces were looked for.

    Raises:
        DataError: an image to be shown cannot be read any more.
    """
    if found.facing is None:
        return None
    rows = found.rows
    gone = [i for i, why in found.removed.items() if why.reason == NO_FACE]
    turned = found.turned()
    summary = found.facing.summary(rows, gone, turned)
    every, less = (Counter((rows[i].split, rows[i].emotion) for i in some) for some in (range(len(rows)), gone))
    splits = list(found.summary()["removed"])
    emotions = [*emotions_of(rows), *([""] if any(not emotion for _, emotion in every) else [])]
    return {
        "detector": found.facing.detector,
        "side": SIDE,
        "notes": summary["notes"],
        "total": len(gone),
        "splits": splits,
        "lines": [(e or "unlabelled", [(less[s, e], every[s, e]) for s in splits]) for e in emotions],
        "shown": [(rows[i], face_uri(read_checked(folder, rows[i]))) for i in _evenly(gone, _SHOWN)],
        "turned": [_pair(found, folder, i) for i in _evenly(turned, _TURNED_SHOWN)],
        "turned_total": len(turned),
    }


def _pair(found: Findings, folder: Path, i: int) -> tuple[Any, str, str, float]:
    assert found.facing is not None
    pixels, degrees = read_checked(folder, found.rows[i]), found.facing.turns[i]
    return found.rows[i], face_uri(pixels), face_uri(rotate_upright(pixels, degrees)), degrees


def _evenly(numbers: Sequence[int], wanted: int) -> list[int]:
    """Return at most `wanted` of the numbers, evenly spaced."""
    places = np.linspace(0, len(numbers) - 1, min(wanted, len(numbers)))
    return [numbers[round(place)] for place in places]
