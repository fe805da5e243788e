"""The real faces that the GAN is trained on: the train split of the dataset, in device memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.generation.correlation_index import CorrelationIndex, comparison_thumbnail
from fercli.generation.gan.networks import MAX_SIDE, MIN_SIDE, SIDE_STEP, is_valid_side
from fercli.images import Color, Pixels
from fercli.models.preprocessing import channels_first, channels_last
from fercli.parallel import in_threads

_CHUNK = 256
MIN_IMAGES = 50
"""Minimum number of images of a class to be generated.

With augmentation a GAN can be trained on a hundred faces (Zhao et al. 2020, section 4.3), which its output resembles;
with fewer it mostly reproduces them. Since all classes share the layers, half of that is required of each.
"""


@dataclass(frozen=True)
class TrainingFaces:
    """Real faces by class.

    Attributes:
        images: uint8 (N, C, H, W), grouped by class, on the device.
        counts: Number of faces of each emotion, in the order of the classes; none is 0.
    """

    images: Tensor
    counts: dict[str, int]

    @property
    def side(self) -> int:
        """Side of the faces in pixels."""
        return self.images.shape[-1]

    @property
    def color(self) -> Color:
        """Their colour."""
        return "gray" if self.images.shape[1] == 1 else "rgb"

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return faces (B, C, H, W) in -1..1 and their labels (B,); class counts differ by at most one.

        Half of the faces are flipped horizontally.
        """
        device = self.images.device
        counts = torch.tensor(list(self.counts.values()), device=device)
        first = torch.randint(len(counts), (1,), generator=generator, device=device)
        labels = (torch.arange(size, device=device) + first) % len(counts)
        uniforms = torch.rand(2, size, generator=generator, device=device)
        indices = (uniforms[0] * counts[labels]).long().clamp(max=counts[labels] - 1)
        indices += (counts.cumsum(0) - counts)[labels]
        faces = self.images[indices].float().div_(127.5).sub_(1)
        return torch.where((uniforms[1] < 0.5)[:, None, None, None], faces.flip(3), faces), labels


def training_rows(rows: Sequence[Row], constant: Collection[str]) -> list[Row]:
    """Return the rows to train on: labelled originals of the train split, except constant images."""
    return [
        row
        for row in rows
        if row.split == "train" and row.emotion and row.origin == "real" and row.path not in constant
    ]


def load_training_faces(
    folder: Path, rows: Sequence[Row], emotions: Sequence[str], workers: int | None, device: torch.device
) -> TrainingFaces:
    """Read the images that the GAN is trained on.

    Args:
        folder: Folder of the dataset.
        rows: Rows of the images; at least one.
        emotions: Order of the classes; emotions without images are left out.
        workers: Number of threads.
        device: Device to store them on.

    Raises:
        DataError: they are not all squares of one supported size and the same colour.
    """
    by_class = {emotion: [row for row in rows if row.emotion == emotion] for emotion in emotions}
    by_class = {emotion: members for emotion, members in by_class.items() if members}
    ordered = [row for members in by_class.values() for row in members]
    images: Pixels | None = None
    for number, pixels in enumerate(in_threads(lambda row: read_checked(folder, row), ordered, workers)):
        if images is None:
            _check_shape(folder / ordered[0].path, pixels)
            images = np.empty((len(ordered), *pixels.shape), np.uint8)
        if pixels.shape != images.shape[1:]:
            raise DataError(
                f"{folder / ordered[number].path}: {_describe(pixels)}, but {ordered[0].path} is "
                f"{_describe(images[0])}; a GAN needs images of one format: convert them with --target fer2013"
            )
        images[number] = pixels
    assert images is not None
    tensor = channels_first(torch.from_numpy(images)).contiguous()
    return TrainingFaces(tensor.to(device), {emotion: len(members) for emotion, members in by_class.items()})


def index_faces(faces: TrainingFaces) -> CorrelationIndex:
    """Return an index of the faces, in order, for finding memorized ones."""
    index = CorrelationIndex(len(faces.images), faces.images.device)
    for part in torch.split(faces.images, _CHUNK):
        pixels: Pixels = channels_last(part).contiguous().cpu().numpy()
        index.add(np.stack([comparison_thumbnail(face) for face in pixels]))
    return index


def _check_shape(file: Path, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    if height != width or not is_valid_side(height):
        raise DataError(
            f"{file}: {_describe(pixels)}; the GAN generates squares of {MIN_SIDE} to {MAX_SIDE} pixels in steps of "
            f"{SIDE_STEP}: convert the images to 48 x 48 with --target fer2013, or use --method augment"
        )


def _describe(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]} {'gray' if pixels.ndim == 2 else 'rgb'}"
