"""The summary of a detection."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class DetectSummary(Summary):
    """The output of `fer detect --json`: numbers of photographs and faces, and of what was not used.

    `videos`, `frames`, `left_out` (faces below the size or score limit) and `files_not_read` are present only if
    positive.
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
