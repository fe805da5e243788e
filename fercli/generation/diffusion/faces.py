"""From prompts to faces: images are drawn in batches, each face is found and cut out, what is no good drawn again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fercli.datasets.duplicates import is_constant
from fercli.errors import FerError
from fercli.faces.base import Detector, Face
from fercli.faces.cropping import crop_face
from fercli.generation.diffusion.pipeline import NoRoomError, Request
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
"""Why an image is rejected. `near copy` is told by who knows the others."""
OTHER = 0.5
"""Another face of at least this share of the largest one's side makes several faces; a smaller one is background."""


@dataclass(frozen=True, slots=True)
class Task:
    """One image that is wanted.

    Attributes:
        number: Of its prompt, from 0.
        order: Prompt, negative prompt, and the prompt's own seed; a further try takes the next one.
        tries: Images that were drawn for it and rejected.
        rejected: Why, one reason each.
    """

    number: int
    order: Request
    tries: int = 0
    rejected: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The seed of its next try."""
        return self.order.seed + self.tries

    def again(self, reason: str) -> Task:
        """Return the task of its next try."""
        return Task(self.number, self.order, self.tries + 1, (*self.rejected, reason))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task: a face, or none within the tries.

    Attributes:
        task: Its last try; `task.tries` images were rejected before.
        crop: The face in the data set's format; None where there is none.
        face: Its box and score in the image.
    """

    task: Task
    crop: Pixels | None = None
    face: Face | None = None


class ImageSampler(Protocol):
    """What draws images: `diffusion.Painter`."""

    def paint(self, orders: Sequence[Request]) -> list[Pixels | None]:
        """Draw images; None for a blanked one."""
        ...


@dataclass
class FaceGenerator:
    """Draws images and cuts faces out of them.

    Attributes:
        painter: Draws.
        detector: Finds the faces.
        size: Side of the faces, pixels.
        color: Their colour.
        margin: As in `crop_face`.
        tries: Images drawn at most for one prompt.
        batch: Images at a time; halved where the device has no room.
        progress: Takes a line where the batch is halved.
    """

    painter: ImageSampler
    detector: Detector
    size: int
    color: Color
    margin: float
    tries: int
    batch: int
    progress: Progress = SILENT

    def make(self, tasks: deque[Task]) -> Iterator[Result]:
        """Yield what came of the tasks, as it comes; the queue may grow meanwhile. Further tries go first."""
        while tasks:
            batch = [tasks.popleft() for _ in range(min(self.batch, len(tasks)))]
            again = []
            for task, picture in zip(batch, self._paint(batch), strict=True):
                found = self.look(picture)
                if not isinstance(found, str):
                    yield Result(task, *found)
                elif task.tries + 1 >= self.tries:
                    yield Result(task.again(found))
                else:
                    again.append(task.again(found))
            tasks.extendleft(reversed(again))

    def look(self, picture: Pixels | None) -> tuple[Pixels, Face] | str:
        """Return the one face of an image, cut out, and its place; or why it is rejected."""
        if picture is None or not picture.any():
            return BLANKED
        if is_constant(picture):
            return PLAIN
        faces = self.detector.detect(picture)
        if not faces:
            return NO_FACE
        sides = [max(face.box[2:]) for face in faces]
        if any(side >= OTHER * sides[0] for side in sides[1:]):
            return SEVERAL
        if sides[0] < self.size:
            return SMALL
        crop = crop_face(picture, faces[0], self.size, self.color, self.margin)
        return PLAIN if is_constant(crop) else (crop, faces[0])

    def _paint(self, tasks: Sequence[Task]) -> list[Pixels | None]:
        """Draw a batch, in smaller ones where the device has no room for it."""
        done: list[Pixels | None] = []
        while len(done) < len(tasks):
            part = tasks[len(done) : len(done) + self.batch]
            try:
                done += self.painter.paint([Request(t.order.prompt, t.order.negative, t.seed) for t in part])
            except NoRoomError as error:
                if len(part) == 1:
                    raise FerError(
                        "the device has no memory for one image; take a smaller --image-size, or another --device, "
                        "and call again: it goes on"
                    ) from error
                self.batch = len(part) // 2
                self.progress.log(f"out of memory with {len(part)} images at a time: going on with {self.batch}")
        return done
