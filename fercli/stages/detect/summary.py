"""What detect reports of a dataset."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class DetectSummary(Summary):
    """What `fer detect --json` prints: photographs, the faces found, and what was not used.

    `videos`, `frames`, `left_out` (faces too small or of too low a score) and `files_not_read` are written only where
    there are any.
    """

    images: int
    faces: int
    without_face: int
    unreadable: int
    videos: int = 0
    frames: int = 0
    left_out: int = 0
    images_per_second: float
    files_not_read: int = 0
