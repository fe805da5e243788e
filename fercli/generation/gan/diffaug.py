"""Differentiable augmentation (Zhao et al. 2020) of the discriminator's inputs, real and generated faces alike.

Without it the discriminator soon memorizes a class of a few hundred faces. Gradients flow through the augmentation, so
the generator does not learn to generate augmented faces. The ranges of colour, translation and cutout are the paper's;
saturation is skipped for grey faces.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNIFORMS = 7
"""Random numbers per face."""

SHIFT = 1 / 8
"""Largest shift in either direction, as a share of the side."""
CUTOUT = 1 / 2
"""Side of the erased square, as a share of the face's side."""


def diffaug(faces: Tensor, uniforms: Tensor) -> Tensor:
    """Return augmented faces.

    Args:
        faces: (B, C, H, W) in -1..1.
        uniforms: (B, 7) in 0..1: brightness, saturation, contrast, vertical and horizontal shift, vertical and
            horizontal position of the cutout. The result depends on nothing else.

    Returns:
        Faces of the same shape; padding and cutout are 0, which is mid-grey.
    """
    brightness, saturation, contrast = (uniforms[:, k, None, None, None].to(faces.dtype) for k in range(3))
    faces = faces + (brightness - 0.5)
    if faces.shape[1] > 1:
        grey = faces.mean(1, keepdim=True)
        faces = grey + (faces - grey) * (2 * saturation)
    mean = faces.mean((1, 2, 3), keepdim=True)
    faces = mean + (faces - mean) * (contrast + 0.5)
    return _cut(_shift(faces, uniforms[:, 3:5]), uniforms[:, 5:7])


def _shift(faces: Tensor, uniforms: Tensor) -> Tensor:
    """Shift each face vertically and horizontally by a whole number of pixels."""
    for axis in (2, 3):
        length = faces.shape[axis]
        most = round(SHIFT * length)
        steps = (uniforms[:, axis - 2, None] * (2 * most + 1)).floor().long() - most
        sources = torch.arange(length, device=faces.device) - steps  # (B, length)
        within = (sources >= 0) & (sources < length)
        shape = [len(faces), 1, 1, 1]
        shape[axis] = length
        shifted = faces.gather(axis, sources.clamp(0, length - 1).view(shape).expand_as(faces))
        faces = shifted * within.view(shape)
    return faces


def _cut(faces: Tensor, uniforms: Tensor) -> Tensor:
    """Erase a square around a random pixel of the face; parts of the square may lie outside."""
    inside = []
    for axis in (2, 3):
        length = faces.shape[axis]
        side = round(CUTOUT * length)
        low = (uniforms[:, axis - 2, None] * length).floor() - side // 2
        positions = torch.arange(length, device=faces.device)
        inside.append((positions >= low) & (positions < low + side))
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return faces * ~square
