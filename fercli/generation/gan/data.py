"""The real faces that the GAN learns from: the data set's own train split, in the device's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.generation.gan.networks import LARGEST, SMALLEST, STEP, check_side
from fercli.images import Color, Pixels
from fercli.models.preprocessing import channels_first
from fercli.parallel import in_threads

FEWEST = 50
"""Images of a class below which none are made of it.

Augmentation lets a GAN learn from a hundred faces (Zhao et al. 2020, section 4.3), which then stand close to those
hundred; of fewer it makes little but them again. A class of the data set shares its layers with the others, so that
half of that is asked of one.
"""


@dataclass(frozen=True)
class TrainingFaces:
    """Real faces by class.

    Attributes:
        images: uint8 (N, C, H, W), those of a class side by side, on the device.
        counts: Faces of each emotion, in the order of the classes; none is 0.
    """

    images: Tensor
    counts: dict[str, int]

    @property
    def side(self) -> int:
        """Side of the faces, pixels."""
        return self.images.shape[-1]

    @property
    def color(self) -> Color:
        """Their colour."""
        return "gray" if self.images.shape[1] == 1 else "rgb"

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return faces (B, C, H, W) in -1..1 and their classes (B,): every class as often, within one, whatever it has.

        Half of the faces are mirrored: a face mirrored is a face.
        """
        device = self.images.device
        many = torch.tensor(list(self.counts.values()), device=device)
        first = torch.randint(len(many), (1,), generator=generator, device=device)
        labels = (torch.arange(size, device=device) + first) % len(many)
        drawn = torch.rand(2, size, generator=generator, device=device)
        numbers = (drawn[0] * many[labels]).long().clamp(max=many[labels] - 1) + (many.cumsum(0) - many)[labels]
        faces = self.images[numbers].float().div_(127.5).sub_(1)
        return torch.where((drawn[1] < 0.5)[:, None, None, None], faces.flip(3), faces), labels


def load_reals(
    folder: Path, rows: Sequence[Row], emotions: Sequence[str], workers: int | None, device: torch.device
) -> TrainingFaces:
    """Read the images that the GAN learns from.

    Args:
        folder: The data set's.
        rows: Of the images, at least one.
        emotions: The order of the classes; one without an image is no class of the GAN.
        workers: Threads.
        device: Where they go.

    Raises:
        DataError: they are not all squares of one size and colour that can be made.
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
                f"{folder / ordered[number].path}: {_shown(pixels)}, but {ordered[0].path} is {_shown(images[0])}; a "
                "GAN learns one format: bring them to one with --target fer2013"
            )
        images[number] = pixels
    assert images is not None
    tensor = channels_first(torch.from_numpy(images)).contiguous()
    return TrainingFaces(tensor.to(device), {emotion: len(members) for emotion, members in by_class.items()})


def _check_shape(file: Path, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    if height != width or not check_side(height):
        raise DataError(
            f"{file}: {_shown(pixels)}; the GAN makes squares of {SMALLEST} to {LARGEST} pixels in steps of {STEP}: "
            "bring the images to 48 with --target fer2013, or take --method augment"
        )


def _shown(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]} {'gray' if pixels.ndim == 2 else 'rgb'}"
