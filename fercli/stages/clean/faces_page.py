"""The face section of the report: counts by emotion, and samples of removed and aligned images."""

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
    """Return the template's context, or None without the face filter.

    Raises:
        DataError: an image to be shown can no longer be read.
    """
    if found.faces is None:
        return None
    rows = found.rows
    gone = [i for i, why in found.removed.items() if why.reason == NO_FACE]
    turned = found.turned()
    summary = found.faces.summary(rows, gone, turned)
    every, less = (Counter((rows[i].split, rows[i].emotion) for i in some) for some in (range(len(rows)), gone))
    splits = list(found.summary().removed)
    emotions = [*emotions_of(rows), *([""] if any(not emotion for _, emotion in every) else [])]
    return {
        "detector": found.faces.detector,
        "side": SIDE,
        "notes": summary.notes,
        "total": len(gone),
        "splits": splits,
        "lines": [(e or "unlabelled", [(less[s, e], every[s, e]) for s in splits]) for e in emotions],
        "shown": [(rows[i], face_uri(read_checked(folder, rows[i]))) for i in _evenly(gone, _SHOWN)],
        "turned": [_pair(found, folder, i) for i in _evenly(turned, _TURNED_SHOWN)],
        "turned_total": len(turned),
    }


def _pair(found: Findings, folder: Path, i: int) -> tuple[Any, str, str, float]:
    assert found.faces is not None
    pixels, degrees = read_checked(folder, found.rows[i]), found.faces.turns[i]
    return found.rows[i], face_uri(pixels), face_uri(rotate_upright(pixels, degrees)), degrees


def _evenly(numbers: Sequence[int], limit: int) -> list[int]:
    """Return at most `limit` of the numbers, evenly spaced."""
    places = np.linspace(0, len(numbers) - 1, min(limit, len(numbers)))
    return [numbers[round(place)] for place in places]
