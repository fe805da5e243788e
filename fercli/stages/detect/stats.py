"""What a call has found so far, in numbers: a few bytes a photograph, however many there are."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from fercli.datasets.names import printable
from fercli.datasets.splitting import stratified
from fercli.stages.detect.face_extractor import NO_FACE, DetectionResult
from fercli.stages.detect.layout import UNKNOWN

_GROUP = 16
"""Bytes of a digest that tell groups apart."""


class DetectionStats:
    """Counts what came of photographs and videos, and keeps what splitting needs.

    Attributes:
        items: All of them.
        pictures: Photographs and frames with a face.
        reasons: Those without a face that is kept, by reason.
        skipped: Their names by reason.
        dark: Names of the photographs that are nearly black.
    """

    def __init__(self) -> None:
        self.items = self.pictures = self.faceless = 0
        self.reasons: Counter[str] = Counter()
        self.skipped: dict[str, list[str]] = defaultdict(list)
        self.dark: list[str] = []
        self._counts: Counter[str] = Counter()
        self._emotions: list[str] = []
        self._groups = bytearray()

    def add(self, found: DetectionResult) -> None:
        """Count one."""
        self.items += 1
        self.pictures += len(found.seen)
        if found.problem:
            self.reasons[found.problem] += 1
            self.skipped[found.problem].append(printable(found.source))
        elif not found.split:
            self._emotions.append(sys.intern(found.emotion))
            self._groups += bytes.fromhex(found.group)[:_GROUP]
        if found.dark:
            self.dark.append(printable(found.source))
        self.faceless += is_faceless(found)
        self._counts["images"] += found.problem != UNKNOWN
        self._counts["faces"] += found.faces
        self._counts["without_face"] += bool(found.problem) and not found.message
        self._counts["unreadable"] += bool(found.message) and found.problem != UNKNOWN
        self._counts["videos"] += found.frames > 0
        self._counts["frames"] += found.frames
        self._counts["left_out"] += found.left_out

    def summary(self, seconds: float) -> dict[str, float]:
        """Return the numbers for people; of videos and of faces left out only where there are any."""
        names = ["images", "faces", "without_face", "unreadable"]
        names += [name for name in ("videos", "frames", "left_out") if self._counts[name]]
        rate = round(self.items / max(seconds, 1e-9), 2)
        return {**{name: self._counts[name] for name in names}, "images_per_second": rate}

    def splits(self, seed: int) -> Iterator[str]:
        """Yield a split for each one whose split is open and that has a face, in order; equal ones get the same."""
        if not self._emotions:
            return iter(())
        groups = np.frombuffer(bytes(self._groups), f"V{_GROUP}")
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        order = np.argsort(first)  # the groups as they first occur, which is how `stratified` would number them
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        cut = stratified([self._emotions[k] for k in first[order]], seed=seed)
        return (cut[place[g]] for g in group.ravel())


def is_faceless(found: DetectionResult) -> bool:
    """Tell whether it is a photograph that can be shown as one without a face."""
    return found.problem == NO_FACE and not found.frames
