"""True landmarks of synthetic faces, from the truth.csv that `fer sample` writes next to its photographs."""

from __future__ import annotations

import csv
from pathlib import Path

from fercli.faces.base import Box, Face, Point
from fercli.faces.nms import iou
from fercli.files import open_text

TRUTH = "truth.csv"
OVERLAP = 0.25
"""Minimum IoU to match a detected face with a drawn one; low, since true boxes enclose the features, detected ones the
head."""

_LEVELS = 3  # <split>/<emotion>/<photograph>
_POINTS = ("eye1", "eye2", "nose", "mouth1", "mouth2")
Drawn = tuple[Box, tuple[Point, ...]]


class GroundTruth:
    """True landmarks of faces in photographs; reads each truth.csv once, and ignores one that is invalid."""

    def __init__(self) -> None:
        self._known: dict[Path, dict[str, list[Drawn]]] = {}

    def landmarks(self, photograph: Path | None, face: Face) -> tuple[Point, ...] | None:
        """Return the true landmarks of a face detected in a photograph; None if unknown."""
        for root in list(photograph.absolute().parents)[:_LEVELS] if photograph else ():
            if root not in self._known:
                self._known[root] = _read(root / TRUTH)
            if self._known[root] and photograph is not None:
                drawn = self._known[root].get(photograph.absolute().relative_to(root).as_posix(), [])
                best = max(drawn, key=lambda one: iou(one[0], face.box), default=None)
                return best[1] if best and iou(best[0], face.box) >= OVERLAP else None
        return None


def _read(file: Path) -> dict[str, list[Drawn]]:
    found: dict[str, list[Drawn]] = {}
    try:
        with open_text(file, newline="") as text:
            for row in csv.DictReader(text):
                left, top, width, height = (float(row[name]) for name in ("left", "top", "width", "height"))
                points = tuple((float(row[f"{name}_x"]), float(row[f"{name}_y"])) for name in _POINTS)
                found.setdefault(row["path"], []).append(((left, top, width, height), points))
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}
    return found
