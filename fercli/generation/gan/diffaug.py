"""Differentiable augmentation (Zhao et al. 2020): what the discriminator sees is changed, real and made faces alike.

Without it a discriminator soon knows a class of some hundred faces by heart. The gradient goes through the changes to
the generator, which therefore does not learn to make changed faces. Colour, translation and cutout are as far as the
paper's; saturation is left out for grey faces, which have none.
"""

from __future__ import annotations

import torch
from torch import Tensor

DRAWS = 7
"""Numbers drawn at random for one face."""

SHIFT = 1 / 8
"""Largest shift either way, as a share of the side."""
CUTOUT = 1 / 2
"""Side of the square that is blanked, as a share of the face's."""


def diffaug(faces: Tensor, draws: Tensor) -> Tensor:
    """Return changed faces.

    Args:
        faces: (B, C, H, W) in -1..1.
        draws: (B, 7) in 0..1: brightness, saturation, contrast, shift down and across, the cutout's place down and
            across. The change depends on nothing else: equal draws, equal change.

    Returns:
        The same shape; what a shift brings in, and the cutout, are 0, the middle grey.
    """
    brightness, saturation, contrast = (draws[:, k, None, None, None].to(faces.dtype) for k in range(3))
    faces = faces + (brightness - 0.5)
    if faces.shape[1] > 1:
        grey = faces.mean(1, keepdim=True)
        faces = grey + (faces - grey) * (2 * saturation)
    mean = faces.mean((1, 2, 3), keepdim=True)
    faces = mean + (faces - mean) * (contrast + 0.5)
    return _cut(_shift(faces, draws[:, 3:5]), draws[:, 5:7])


def _shift(faces: Tensor, draws: Tensor) -> Tensor:
    """Shift each face by a whole number of pixels down and across."""
    for axis in (2, 3):
        length = faces.shape[axis]
        most = round(SHIFT * length)
        steps = (draws[:, axis - 2, None] * (2 * most + 1)).floor().long() - most
        sources = torch.arange(length, device=faces.device) - steps  # (B, length)
        within = (sources >= 0) & (sources < length)
        shape = [len(faces), 1, 1, 1]
        shape[axis] = length
        taken = faces.gather(axis, sources.clamp(0, length - 1).view(shape).expand_as(faces))
        faces = taken * within.view(shape)
    return faces


def _cut(faces: Tensor, draws: Tensor) -> Tensor:
    """Blank a square about a pixel drawn from the whole face, so that parts of it may lie outside."""
    inside = []
    for axis in (2, 3):
        length = faces.shape[axis]
        side = round(CUTOUT * length)
        low = (draws[:, axis - 2, None] * length).floor() - side // 2
        places = torch.arange(length, device=faces.device)
        inside.append((places >= low) & (places < low + side))
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return faces * ~square
