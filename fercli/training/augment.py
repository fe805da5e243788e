"""Augmentation of a whole batch on its device, with random parameters for each face.

Flip, rotation, scale and shift are one affine map per face; a single resampling of the batch applies it and resizes the
face to the model's input size. torchvision's transforms use the same parameters for a whole batch, and applied face by
face they are slow.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fercli.recipes import Augmentation


def draw_augmentation(count: int, generator: torch.Generator) -> Tensor:
    """Return the random numbers that `augment` needs for `count` faces, (count, 12) in 0..1.

    Args:
        count: Number of faces.
        generator: On the CPU, so that the random numbers are the same on every device.
    """
    return torch.rand(count, 12, generator=generator)


def alternating_flips(order: Tensor, seed: int, epoch: int) -> Tensor:
    """Return which faces are mirrored in an epoch by alternating flips, bool (N,), in the order of the epoch.

    A random half starts mirrored, and each face changes every epoch, so it is seen in both orientations equally
    often, unlike with independent flips in a short training (K. Jordan 2024, "alternating flip").

    Args:
        order: A permutation of all N faces.
        seed: Decides which half starts mirrored.
        epoch: Number of the epoch, from 0.
    """
    first = torch.rand(len(order), generator=torch.Generator().manual_seed(seed)) < 0.5
    return first[order] ^ bool(epoch % 2)


def augment(x: Tensor, settings: Augmentation, size: int, uniform: Tensor, flips: Tensor | None = None) -> Tensor:
    """Augment each face at random and resize it to `size`.

    Args:
        x: Faces in 0..1, (B, C, H, W).
        settings: Ranges and probabilities.
        size: Side of the result, pixels.
        uniform: Random numbers from `draw_augmentation`, (B, 12).
        flips: Which faces to flip, bool (B,); None: at random, with the probability `settings.flip`.

    Returns:
        (B, C, size, size) on the device of `x`.
    """
    uniform = uniform.to(x.device)
    flipped = uniform[:, 0] < settings.flip if flips is None else flips.to(x.device)
    if settings.rotation or settings.scale or settings.shift or size != x.shape[-1]:
        grid = F.affine_grid(_affine(uniform, flipped, settings), [len(x), 1, size, size], align_corners=False)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    elif settings.flip or flips is not None:
        x = torch.where(flipped.view(-1, 1, 1, 1), x.flip(3), x)
    if settings.contrast:
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * (1 + settings.contrast * _signed(uniform[:, 5])).view(-1, 1, 1, 1)
    if settings.brightness:
        x = x + (settings.brightness * _signed(uniform[:, 6])).view(-1, 1, 1, 1)
    if settings.erasing:
        x = _erase(x, uniform, settings.erasing)
    return x


def choose_view(x: Tensor, settings: Augmentation, _size: int, uniform: Tensor, flips: Tensor | None = None) -> Tensor:
    """Choose a face's features or those of its mirror image at random, as `augment` would flip the face.

    Args:
        x: Features (B, 1, D), or (B, 2, D) with those of the mirrored face.
        settings: As for `augment`; only flips have an effect.
        _size: Has no effect.
        uniform: As for `augment`.
        flips: As for `augment`.

    Returns:
        (B, D).
    """
    if x.shape[1] == 1:
        return x[:, 0]
    flipped = (uniform[:, 0] < settings.flip if flips is None else flips).to(x.device)
    return torch.where(flipped.view(-1, 1), x[:, 1], x[:, 0])


def _signed(uniform: Tensor) -> Tensor:
    return 2 * uniform - 1


def _affine(uniform: Tensor, flipped: Tensor, settings: Augmentation) -> Tensor:
    """Return the affine maps from output to input, (B, 2, 3), in coordinates from -1 to 1."""
    mirror = torch.where(flipped, -1.0, 1.0)
    angle = math.radians(settings.rotation) * _signed(uniform[:, 1])
    scale = 1 + settings.scale * _signed(uniform[:, 2])
    shift = 2 * settings.shift * _signed(uniform[:, 3:5])
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cosine * mirror, -sine, shift[:, 0], sine * mirror, cosine, shift[:, 1]], 1)
    return rows.view(-1, 2, 3)


def _erase(x: Tensor, uniform: Tensor, probability: float) -> Tensor:
    """Set one rectangle of some faces to the face's mean; area 2 to 20 %, aspect 1/2 to 2 (Zhong et al. 2020)."""
    area = 0.02 + 0.18 * uniform[:, 7]
    aspect = torch.exp2(_signed(uniform[:, 8]))
    height, width = (area * aspect).sqrt(), (area / aspect).sqrt()
    top, left = uniform[:, 9] * (1 - height), uniform[:, 10] * (1 - width)
    chosen = uniform[:, 11] < probability
    side = (torch.arange(x.shape[-1], device=x.device) + 0.5) / x.shape[-1]
    inside_y = (side >= top[:, None]) & (side < (top + height)[:, None])
    inside_x = (side >= left[:, None]) & (side < (left + width)[:, None])
    blank = (inside_y[:, :, None] & inside_x[:, None, :] & chosen[:, None, None]).unsqueeze(1)
    return torch.where(blank, x.mean((1, 2, 3), keepdim=True), x)
