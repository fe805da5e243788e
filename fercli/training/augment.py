"""Augmentation of a whole batch on its device, drawn for each face.

Flip, rotation, scale and shift make one affine map a face, and one sampling of the batch applies it and brings the face
to the model's size at once. torchvision's transforms draw once for a whole batch, and one by one cost Python a face.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fercli.recipes import Augmentation


def augment(
    x: Tensor, settings: Augmentation, size: int, generator: torch.Generator, mirror: Tensor | None = None
) -> Tensor:
    """Change each face at random and bring it to `size`.

    Args:
        x: Faces in 0..1, (B, C, H, W).
        settings: How far.
        size: Side of the result, pixels.
        generator: On the CPU, so that the draws are the same on every device.
        mirror: Which faces are mirrored, bool (B,); None: drawn by the settings' `flip`.

    Returns:
        (B, C, size, size) on the device of `x`.
    """
    draws = torch.rand(len(x), 12, generator=generator).to(x.device)
    mirrored = draws[:, 0] < settings.flip if mirror is None else mirror.to(x.device)
    if settings.rotation or settings.scale or settings.shift or size != x.shape[-1]:
        grid = F.affine_grid(_affine(draws, mirrored, settings), [len(x), 1, size, size], align_corners=False)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    elif settings.flip or mirror is not None:
        x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)
    if settings.contrast:
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * (1 + settings.contrast * _signed(draws[:, 5])).view(-1, 1, 1, 1)
    if settings.brightness:
        x = x + (settings.brightness * _signed(draws[:, 6])).view(-1, 1, 1, 1)
    if settings.erasing:
        x = _erase(x, draws, settings.erasing)
    return x


def _signed(uniform: Tensor) -> Tensor:
    return 2 * uniform - 1


def _affine(draws: Tensor, mirrored: Tensor, settings: Augmentation) -> Tensor:
    """Return the maps from result to source, (B, 2, 3), in coordinates from -1 to 1."""
    mirror = torch.where(mirrored, -1.0, 1.0)
    angle = math.radians(settings.rotation) * _signed(draws[:, 1])
    scale = 1 + settings.scale * _signed(draws[:, 2])
    shift = 2 * settings.shift * _signed(draws[:, 3:5])
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cosine * mirror, -sine, shift[:, 0], sine * mirror, cosine, shift[:, 1]], 1)
    return rows.view(-1, 2, 3)


def _erase(x: Tensor, draws: Tensor, probability: float) -> Tensor:
    """Set one rectangle of some faces to the face's mean; area 2 to 20 %, aspect 1/2 to 2 (Zhong et al. 2020)."""
    area = 0.02 + 0.18 * draws[:, 7]
    aspect = torch.exp2(_signed(draws[:, 8]))
    height, width = (area * aspect).sqrt(), (area / aspect).sqrt()
    top, left = draws[:, 9] * (1 - height), draws[:, 10] * (1 - width)
    chosen = draws[:, 11] < probability
    side = (torch.arange(x.shape[-1], device=x.device) + 0.5) / x.shape[-1]
    inside_y = (side >= top[:, None]) & (side < (top + height)[:, None])
    inside_x = (side >= left[:, None]) & (side < (left + width)[:, None])
    blank = (inside_y[:, :, None] & inside_x[:, None, :] & chosen[:, None, None]).unsqueeze(1)
    return torch.where(blank, x.mean((1, 2, 3), keepdim=True), x)
