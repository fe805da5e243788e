"""A frame: one image of a photograph, video, webcam or dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from fercli.artifacts import Artifact
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


class FrameSource(Protocol):
    """A source of frames: files (`fercli.stages.predict.sources.Source`), or photographs in memory.

    Attributes:
        name: Its path or description.
        kind: photo, folder, video, webcam, or faces (a dataset or pack).
        artifact: The dataset, pack or photographs, if it is one.
        path: The file or folder, if any.
        total: Number of frames, or of files in a folder; None if unknown.
        rate: Sampled frames per second of a video; 0.0 otherwise.
        passed_over: Number of files that are neither images nor videos.
    """

    name: str
    kind: str
    artifact: Artifact | None
    path: Path | None
    total: int | None
    rate: float
    passed_over: int

    def frames(self, log: Callable[[str], None]) -> Iterator[Callable[[], Frame]]:
        """Yield a function per frame that reads it."""
        ...
