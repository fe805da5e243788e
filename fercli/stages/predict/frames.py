"""A frame: one picture of a photograph, a video, a webcam or a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fercli.errors import ImageError
from fercli.images import Pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture to find faces in.

    Attributes:
        source: The file, relative to the folder that was given; the path within a dataset; `webcam N`.
        number: Of the frame in its video, from 0; 0 for a photograph.
        time: Seconds since the video's start; None for a photograph.
        pixels: uint8 (H, W) or (H, W, 3) RGB; None where the picture cannot be read.
        problem: Why not.
        file: The file it comes from, where it has one of its own.
        rate: Frames a second that are taken of its video; 0.0 for a photograph.
        step: How far it moves the progress: 0 for the later frames of a video within a folder.
        face_id: Whose face it is, where a dataset says.
    """

    source: str
    number: int
    time: float | None
    pixels: Pixels | None = None
    problem: ImageError | None = None
    file: Path | None = None
    rate: float = 0.0
    step: int = 1
    face_id: str = ""

    def within(self) -> Frame:
        """Return the frame as one after the first of a folder's video."""
        return replace(self, step=0)
