"""A frame: one image of a photograph, video, webcam or dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fercli.errors import ImageError
from fercli.images import Pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """An image in which to detect faces.

    Attributes:
        source: File path relative to the given folder, path within a dataset, or `webcam N`.
        number: Frame number in the video, from 0; 0 for a photograph.
        time: Seconds from the start of the video; None for a photograph.
        pixels: uint8 (H, W) or (H, W, 3) RGB; None if the image cannot be read.
        problem: Why it cannot be read.
        file: The image or video file, if any.
        rate: Sampled frames per second of the video; 0.0 for a photograph.
        step: Progress steps: 0 for the later frames of a video within a folder.
        face_id: Identifier of the face, if the dataset has one.
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

    def without_step(self) -> Frame:
        """Return the frame without a progress step, for the later frames of a video in a folder."""
        return replace(self, step=0)
