"""From prompts to faces: generate images in batches, detect and crop faces, retry rejected images."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fercli.datasets.duplicates import is_constant
from fercli.errors import FerError
from fercli.faces.base import Detector, Face
from fercli.faces.cropping import crop_face
from fercli.generation.diffusion.pipeline import BatchTooLargeError, Request
from fercli.images import Color, Pixels
from fercli.progress import SILENT, Progress

BLANKED, NO_FACE, SEVERAL, SMALL, PLAIN, COPY = (
    "blanked",
    "no face",
    "several faces",
    "small face",
    "without contrast",
    "near copy",
)
"""Reasons to reject an image. `near copy` is decided by the caller, which has the other images."""
SECOND_FACE = 0.5
"""A second face counts if its side is at least this share of the largest one's; smaller ones are background."""


@dataclass(frozen=True, slots=True)
class Task:
    """An image to generate.

    Attributes:
        number: Number of its prompt, from 0.
        request: Prompt, negative prompt, and seed of the first try; each further try uses the next seed.
        tries: Number of images generated and rejected so far.
        rejected: The reasons, one for each rejected image.
    """

    number: int
    request: Request
    tries: int = 0
    rejected: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """Seed of the next try."""
        return self.request.seed + self.tries

    def retry(self, reason: str) -> Task:
        """Return the task of the next try."""
        return Task(self.number, self.request, self.tries + 1, (*self.rejected, reason))


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a task: a face, or None if all tries were rejected.

    Attributes:
        task: The last try; `task.tries` images were rejected before.
        crop: The face in the format of the dataset; None if there is none.
        face: Its box and score in the image.
    """

    task: Task
    crop: Pixels | None = None
    face: Face | None = None


class ImageSampler(Protocol):
    """Generates images, as `DiffusionSampler` does."""

    def sample(self, requests: Sequence[Request]) -> list[Pixels | None]:
        """Generate images; None for each blanked one."""
        ...


@dataclass
class FaceGenerator:
    """Generates images and crops faces from them.

    Attributes:
        sampler: Generates the images.
        detector: Detects the faces.
        size: Side of the faces in pixels.
        color: Their colour.
        margin: Margin around the box, as in `crop_face`.
        max_tries: Maximum number of images per prompt.
        batch: Batch size; halved when the device runs out of memory.
        progress: Progress callback, for a message when the batch size is halved.
    """

    sampler: ImageSampler
    detector: Detector
    size: int
    color: Color
    margin: float
    max_tries: int
    batch: int
    progress: Progress = SILENT

    def generate(self, tasks: deque[Task]) -> Iterator[Result]:
        """Yield results as tasks finish; the queue may grow meanwhile. Retries come first."""
        while tasks:
            batch = [tasks.popleft() for _ in range(min(self.batch, len(tasks)))]
            retries = []
            for task, image in zip(batch, self._sample(batch), strict=True):
                result = self.extract(image)
                if not isinstance(result, str):
                    yield Result(task, *result)
                elif task.tries + 1 >= self.max_tries:
                    yield Result(task.retry(result))
                else:
                    retries.append(task.retry(result))
            tasks.extendleft(reversed(retries))

    def extract(self, image: Pixels | None) -> tuple[Pixels, Face] | str:
        """Return the crop of the single face of an image, and the face; or the reason to reject the image."""
        if image is None or not image.any():
            return BLANKED
        if is_constant(image):
            return PLAIN
        faces = self.detector.detect(image)
        if not faces:
            return NO_FACE
        sides = [max(face.box[2:]) for face in faces]
        if any(side >= SECOND_FACE * sides[0] for side in sides[1:]):
            return SEVERAL
        if sides[0] < self.size:
            return SMALL
        crop = crop_face(image, faces[0], self.size, self.color, self.margin)
        return PLAIN if is_constant(crop) else (crop, faces[0])

    def _sample(self, tasks: Sequence[Task]) -> list[Pixels | None]:
        """Generate a batch, in smaller batches if the device runs out of memory."""
        images: list[Pixels | None] = []
        while len(images) < len(tasks):
            part = tasks[len(images) : len(images) + self.batch]
            try:
                requests = [Request(t.request.prompt, t.request.negative, t.seed) for t in part]
                images += self.sampler.sample(requests)
            except BatchTooLargeError as error:
                if len(part) == 1:
                    raise FerError(
                        "the device does not have enough memory for one image; use a smaller --image-size or another "
                        "--device, and repeat the call to resume"
                    ) from error
                self.batch = len(part) // 2
                self.progress.log(f"out of memory with batch size {len(part)}: continuing with {self.batch}")
        return images
