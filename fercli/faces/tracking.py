"""Whose face is whose from frame to frame of a video, by place and by look.

Tracking by detection: each frame's faces are matched with those last seen, the best pair first. A pair may be one where
the boxes overlap as SORT (Bewley et al., ICIP 2016, section 3.3) and the IoU tracker (Bochinski et al., AVSS 2017) ask
for, or where the faces look so much alike that they may have moved anywhere, which between frames a second apart they
do. Look weighs more than place: two faces that pass each other keep their own numbers.

Look is the correlation of small grey pictures of the face. Between two pictures of FER2013 taken at random it is below
0.52 in 95 of 100 cases and below 0.66 in 99; when a picture is moved by two of its 48 pixels and enlarged by a
twentieth it is 0.80 (median). So it is no recognition: who turns far aside while moving, or comes back after
`GAP`, gets a new number, and after a cut a new face in the old one's place may keep the old number.
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
"""Pixels of a look: so few that a box that trembles changes little."""
OVERLAP = 0.3
"""Of two boxes (intersection over union), that a face may have stayed; SORT's least."""
STAYED, MOVED = 0.3, 0.7
"""How alike a face that stayed must look, and one that may be anywhere: one pair of strangers in 200 does."""
LARGER = 2.0
"""A face elsewhere is at most so many times as large or small."""
WEIGHT = 0.25
"""Of overlap, beside look: less than what strangers differ by from one and the same face."""
GAP = 2.0
"""Seconds for which a face that is not seen keeps its number; in any case two frames that were looked at."""
KEPT = 4
"""The last looks of a face that a new one is compared with."""

Look = npt.NDArray[np.float64]


@dataclass
class _Track:
    number: int
    box: Box
    looks: deque[Look]
    seconds: float
    frame: int


class FaceTracker:
    """Numbers the faces of one video from 1, in order of appearance."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._numbers = self._frames = 0

    def follow(self, seconds: float, boxes: list[Box], looks: list[Look]) -> list[int]:
        """Return the number of each face of the next frame.

        Args:
            seconds: The frame's time.
            boxes: Box of each face.
            looks: What `look_of` makes of each.
        """
        self._frames += 1
        self._tracks = [t for t in self._tracks if seconds - t.seconds <= GAP or self._frames - t.frame <= 3]
        scored = [
            (score, -k, -j)
            for k, track in enumerate(self._tracks)
            for j, (box, look) in enumerate(zip(boxes, looks, strict=True))
            if (score := _alike(track, box, look)) > 0
        ]
        matched: dict[int, _Track] = {}
        taken = set()
        for _, k, j in sorted(scored, reverse=True):
            if -j not in matched and k not in taken:
                matched[-j] = self._tracks[-k]
                taken.add(k)
        return [self._take(matched.get(j), box, looks[j], seconds) for j, box in enumerate(boxes)]

    def _take(self, track: _Track | None, box: Box, look: Look, seconds: float) -> int:
        if track is None:
            self._numbers += 1
            track = _Track(self._numbers, box, deque(maxlen=KEPT), seconds, self._frames)
            self._tracks.append(track)
        track.box, track.seconds, track.frame = box, seconds, self._frames
        track.looks.append(look)
        return track.number


def appearance(pixels: Pixels, face: Face) -> Look:
    """Return what a face looks like: its box as a small grey picture of mean 0 and length 1."""
    left, top, width, height = face.box
    box = pixels[int(top) : int(top + height) + 1, int(left) : int(left + width) + 1]
    small = cv2.resize(as_color(np.ascontiguousarray(box), "gray"), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    look = small.astype(np.float64).ravel()
    look -= look.mean()
    length = float(np.linalg.norm(look))
    return np.asarray(look / length if length > 0 else look, np.float64)


def _alike(track: _Track, box: Box, look: Look) -> float:
    """Return how likely a face is the track's, comparable among pairs; 0 where it cannot be."""
    overlap = iou(track.box, box)
    alike = max(float(one @ look) for one in track.looks)
    ratio = (box[2] * box[3]) / (track.box[2] * track.box[3])
    stayed = overlap >= OVERLAP and alike >= STAYED
    moved = alike >= MOVED and LARGER**-2 <= ratio <= LARGER**2
    return alike + WEIGHT * overlap if stayed or moved else 0.0
