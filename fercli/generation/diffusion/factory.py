"""Creation of a `FaceGenerator` in this process, or in the workers of a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fercli.faces.base import Detector
from fercli.generation.diffusion.face_generator import FaceGenerator, Result, Task
from fercli.generation.diffusion.pipeline import DiffusionSampler, Settings
from fercli.generation.diffusion.source import DiffusionSource
from fercli.images import Color
from fercli.progress import SILENT, Progress


@dataclass(frozen=True)
class FaceGeneratorFactory:
    """Creates a `FaceGenerator`; picklable.

    Attributes:
        source: The diffusion model.
        settings: How images are generated.
        detector: Creates the detector.
        size: Side of the faces in pixels.
        color: Their colour.
        margin: Margin around the box, as in `crop_face`.
        max_tries: Maximum number of images per prompt.
        batch: Batch size; None for as many as fit into memory.
    """

    source: DiffusionSource
    settings: Settings
    detector: Callable[[], Detector]
    size: int
    color: Color
    margin: float
    max_tries: int
    batch: int | None

    def create(self, progress: Progress = SILENT) -> FaceGenerator:
        """Load the diffusion model and return the generator."""
        sampler = DiffusionSampler(self.source, self.settings)
        batch = self.batch or sampler.max_batch()
        return FaceGenerator(
            sampler, self.detector(), self.size, self.color, self.margin, self.max_tries, batch, progress
        )

    def __call__(self) -> Callable[[tuple[Task, ...]], list[Result]]:
        """Return the function that a worker of a cluster calls with its tasks."""
        return partial(_generate_all, self.create())


def _generate_all(generator: FaceGenerator, tasks: tuple[Task, ...]) -> list[Result]:
    return list(generator.generate(deque(tasks)))
