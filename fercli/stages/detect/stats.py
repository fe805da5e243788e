"""Running statistics of a call: a few bytes per photograph, however many there are."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from fercli.datasets.names import printable
from fercli.datasets.splitting import stratified
from fercli.stages.detect.face_extractor import NO_FACE, DetectionResult
from fercli.stages.detect.layout import UNKNOWN
from fercli.stages.detect.summary import DetectSummary

_GROUP = 16
"""Number of bytes of a digest kept to distinguish groups."""


class DetectionStats:
    """Counts the results for photographs and videos, and keeps what splitting needs.

    Attributes:
        items: Number of photographs and videos.
        pictures: Number of photographs and frames with a face.
        faceless: Number of photographs without a face that can be shown.
        reasons: Number of photographs and videos without a face, by reason.
        skipped: Their names by reason.
        dark: Names of the nearly black photographs.
    """

    def __init__(self) -> None:
        self.items = self.pictures = self.faceless = 0
        self.reasons: Counter[str] = Counter()
        self.skipped: dict[str, list[str]] = defaultdict(list)
        self.dark: list[str] = []
        self._counts: Counter[str] = Counter()
        self._emotions: list[str] = []
        self._groups = bytearray()

    def add(self, result: DetectionResult) -> None:
        """Add a result."""
        self.items += 1
        self.pictures += len(result.seen)
        if result.problem:
            self.reasons[result.problem] += 1
            self.skipped[result.problem].append(printable(result.source))
        elif not result.split:
            self._emotions.append(sys.intern(result.emotion))
            self._groups += bytes.fromhex(result.group)[:_GROUP]
        if result.dark:
            self.dark.append(printable(result.source))
        self.faceless += is_faceless(result)
        self._counts["images"] += result.problem != UNKNOWN
        self._counts["faces"] += result.faces
        self._counts["without_face"] += bool(result.problem) and not result.message
        self._counts["unreadable"] += bool(result.message) and result.problem != UNKNOWN
        self._counts["videos"] += result.frames > 0
        self._counts["frames"] += result.frames
        self._counts["left_out"] += result.left_out

    def summary(self, seconds: float, files_not_read: int = 0) -> DetectSummary:
        """Return the stage's summary; counts of videos and of what was not used are set only if positive."""
        counts = self._counts
        optional = {name: counts[name] for name in ("videos", "frames", "left_out") if counts[name]}
        if files_not_read:
            optional["files_not_read"] = files_not_read
        return DetectSummary(
            images=counts["images"],
            faces=counts["faces"],
            without_face=counts["without_face"],
            unreadable=counts["unreadable"],
            images_per_second=round(self.items / max(seconds, 1e-9), 2),
            **optional,
        )

    def splits(self, seed: int) -> Iterator[str]:
        """Yield a split for each result with a face and no split yet, in order; equal groups get the same split."""
        if not self._emotions:
            return iter(())
        groups = np.frombuffer(bytes(self._groups), f"V{_GROUP}")
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        order = np.argsort(first)  # groups in order of first occurrence, as `stratified` numbers them
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        cut = stratified([self._emotions[k] for k in first[order]], seed=seed)
        return (cut[rank[g]] for g in group.ravel())


def is_faceless(result: DetectionResult) -> bool:
    """Return whether this is a readable photograph without a face."""
    return result.problem == NO_FACE and not result.frames
