"""Face tracking in videos, by position and appearance.

Tracking by detection: each frame's faces are greedily matched with the existing tracks, best pair first. A pair can
match if the boxes overlap, as in SORT (Bewley et al., ICIP 2016, section 3.3) and the IoU tracker (Bochinski et al.,
AVSS 2017), or if the faces look so similar that the face may have moved anywhere, as it may between frames a second
apart. Appearance weighs more than position: two faces that pass each other keep their IDs.

Similarity is the correlation of small greyscale images of the faces. Between two random images of FER2013 it is below
0.52 in 95 of 100 cases and below 0.66 in 99; for an image shifted by two of its 48 pixels and enlarged by 5 % it is
0.80 (median). It is not face recognition: a person who turns far aside while moving, or comes back after `MAX_GAP`,
gets a new ID. After a cut all faces get new IDs: which of them were seen before is not known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fercli.faces.base import Box, Face
from fercli.faces.nms import iou
from fercli.images import Pixels, as_color

SIDE = 12
"""Side of an appearance image in pixels: so small that box jitter changes little."""
MIN_IOU = 0.3
"""Minimum IoU of boxes for a face that stayed in place, as in SORT."""
MIN_SIMILARITY_NEAR, MIN_SIMILARITY_FAR = 0.3, 0.7
"""Minimum similarity for a face that stayed in place, and for one anywhere; 1 in 200 pairs of strangers has it."""
MAX_SCALE = 2.0
"""Maximum ratio of sizes, either way, for a face that moved."""
IOU_WEIGHT = 0.25
"""Weight of the IoU relative to similarity: less than the typical similarity gap between same and different people."""
MAX_GAP = 2.0
"""Seconds for which an undetected face keeps its ID; at least two processed frames."""
HISTORY = 4
"""Number of a track's latest appearances that a new face is compared with."""

Appearance = npt.NDArray[np.float64]


@dataclass
class _Track:
    id: int
    box: Box
    appearances: deque[Appearance]
    seconds: float
    frame: int


class FaceTracker:
    """Assigns IDs to the faces of one video, from 1 in order of first detection."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._last_id = self._frames = 0

    def update(
        self, seconds: float, boxes: list[Box], appearances: list[Appearance], *, cut: bool = False
    ) -> list[int]:
        """Return the ID of each face in the next frame.

        Args:
            seconds: The frame's time.
            boxes: Box of each face.
            appearances: `compute_appearance` of each face.
            cut: Whether the frame is the first of a new shot (`fercli.videos.cuts`).
        """
        self._frames += 1
        if cut:
            self._tracks.clear()
        self._tracks = [t for t in self._tracks if seconds - t.seconds <= MAX_GAP or self._frames - t.frame <= 3]
        scored = [
            (score, -k, -j)
            for k, track in enumerate(self._tracks)
            for j, (box, appearance) in enumerate(zip(boxes, appearances, strict=True))
            if (score := _match_score(track, box, appearance)) > 0
        ]
        matched: dict[int, _Track] = {}
        taken = set()
        for _, k, j in sorted(scored, reverse=True):
            if -j not in matched and k not in taken:
                matched[-j] = self._tracks[-k]
                taken.add(k)
        return [self._assign(matched.get(j), box, appearances[j], seconds) for j, box in enumerate(boxes)]

    def _assign(self, track: _Track | None, box: Box, appearance: Appearance, seconds: float) -> int:
        if track is None:
            self._last_id += 1
            track = _Track(self._last_id, box, deque(maxlen=HISTORY), seconds, self._frames)
            self._tracks.append(track)
        track.box, track.seconds, track.frame = box, seconds, self._frames
        track.appearances.append(appearance)
        return track.id


def compute_appearance(pixels: Pixels, face: Face) -> Appearance:
    """Return a face's appearance: its box as a small greyscale image, flattened, with mean 0 and norm 1."""
    left, top, width, height = face.box
    box = pixels[int(top) : int(top + height) + 1, int(left) : int(left + width) + 1]
    small = cv2.resize(as_color(np.ascontiguousarray(box), "gray"), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    appearance = small.astype(np.float64).ravel()
    appearance -= appearance.mean()
    length = float(np.linalg.norm(appearance))
    return np.asarray(appearance / length if length > 0 else appearance, np.float64)


def _match_score(track: _Track, box: Box, appearance: Appearance) -> float:
    """Return the score of matching a face to a track, comparable among pairs; 0 if they cannot match."""
    overlap = iou(track.box, box)
    similarity = max(float(one @ appearance) for one in track.appearances)
    ratio = (box[2] * box[3]) / (track.box[2] * track.box[3])
    stayed = overlap >= MIN_IOU and similarity >= MIN_SIMILARITY_NEAR
    moved = similarity >= MIN_SIMILARITY_FAR and MAX_SCALE**-2 <= ratio <= MAX_SCALE**2
    return similarity + IOU_WEIGHT * overlap if stayed or moved else 0.0
