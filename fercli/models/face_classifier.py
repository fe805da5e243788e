"""A network together with its preprocessing and calibration, as one module: what is exported."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.images import Color
from fercli.models.preprocessing import Preprocessing

_LUMA = (19595.0, 38470.0, 7471.0)
"""ITU-R 601's weights times 65,536, rounded as Pillow does; sums of them are exact in float32."""
_WEIGHT = 2.0**22
"""Pillow rounds the weights of resizing to whole multiples of 1 / this; sums of them are exact in float64."""


class FitSquare(nn.Module):
    """Faces of any size as `fercli.images.fit_square` and `as_color` give them, pixel by pixel.

    Resizing is a product with two matrices that depend on the sizes alone, since exporters disagree about antialiased
    resizing. Their weights are computed in double precision in Pillow's order of operations and rounded as Pillow
    rounds them, as are both passes: across, then down. Pillow 13 goes down first in pictures more than about twice as
    high as wide, in which single pixels can then differ by 1.

    Args:
        size: Height and width of the result.
        color: gray or rgb.
    """

    def __init__(self, size: int, color: Color) -> None:
        super().__init__()
        self.size, self.color = size, color
        self.register_buffer("luma", torch.tensor(_LUMA), persistent=False)
        self.luma: Tensor

    def forward(self, faces: Tensor) -> Tensor:
        """Convert uint8 (N, H, W, 3) to whole float32 numbers 0..255, (N, 1 or 3, size, size)."""
        x = faces.float()
        height, width = faces.shape[1], faces.shape[2]
        if self.color == "gray":
            x = ((x * self.luma).sum(3) + 32768).div(65536).floor().unsqueeze(1)
        else:
            x = x.permute(0, 3, 1, 2)
        sides = torch.scalar_tensor(height, dtype=torch.float64), torch.scalar_tensor(width, dtype=torch.float64)
        longest = torch.maximum(*sides)
        down, across = (
            self._weights(length, side, longest) for length, side in zip((height, width), sides, strict=True)
        )
        x = (x.double() @ across.T + 0.5).floor()
        return (down @ x + 0.5).floor().float()

    def _weights(self, length: int, side: Tensor, longest: Tensor) -> Tensor:
        """Return the weights of `length` source pixels for each pixel of the result, (size, length)."""
        whole = torch.scalar_tensor(self.size, dtype=torch.float64)  # a plain number would be multiplied by 1 / longest
        inner = (side * (whole / longest)).round().clamp(min=1)  # without the bars
        bar = ((self.size - inner) / 2).floor()
        place = torch.arange(self.size, dtype=torch.float64) - bar
        scale = side / inner
        stretch = scale.clamp(min=1)
        center = ((place + 0.5) * scale).unsqueeze(1)
        pixel = torch.arange(length, dtype=torch.float64)
        distance = (pixel - center + 0.5) * (1 / stretch)
        reach = torch.where(longest > self.size, 0.5, 1.0) * stretch
        box = ((distance > -0.5) & (distance <= 0.5)).double()
        triangle = (1 - distance.abs()).clamp(min=0)
        weights = torch.where(longest > self.size, box, triangle)
        weights = weights * ((pixel >= (center - reach + 0.5).floor()) & (pixel < (center + reach + 0.5).floor()))
        weights = weights * (1 / weights.sum(1, keepdim=True).clamp(min=1e-12))
        inside = (place >= 0) & (place < inner)
        return (weights * _WEIGHT + 0.5).floor() / _WEIGHT * inside.unsqueeze(1)


class FaceClassifier(nn.Module):
    """From uint8 RGB faces of any size to the calibrated probabilities of the emotions, and the network's logits.

    Args:
        network: From normalised faces (N, C, input_size, input_size) to logits (N, emotions).
        preprocessing: The network's preprocessing.
        face_format: Size and colour of the faces that it was trained on.
        temperature: Divides the logits before the softmax.
    """

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, face_format: tuple[int, Color], temperature: float
    ) -> None:
        super().__init__()
        size, color = face_format
        self.fit = FitSquare(size, color)
        self.network, self.temperature = network, temperature
        self.to_gray = color == "rgb" and len(preprocessing.mean) == 1
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (preprocessing.mean, preprocessing.std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.register_buffer("resize", _resize_matrix(preprocessing.input_size, size), persistent=False)
        self.mean: Tensor
        self.std: Tensor
        self.resize: Tensor | None

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and logits, float32 (N, emotions), of uint8 faces (N, H, W, 3)."""
        x = self.fit(faces)
        if self.to_gray:
            x = (x * (self.fit.luma / 65536).view(1, 3, 1, 1)).sum(1, keepdim=True)
        x = x / 255
        if self.resize is not None:
            x = self.resize @ x @ self.resize.T
        logits: Tensor = self.network((x - self.mean) / self.std)
        return (logits / self.temperature).softmax(1), logits


def _resize_matrix(side: int, size: int) -> Tensor | None:
    """Return the weights by which `Preprocessing.resize` makes `side` rows of `size`, (side, size); None if equal."""
    if side == size:
        return None
    # It is linear and separable: what it does to unit vectors is all there is to know.
    rows = F.interpolate(torch.eye(size)[None, None], size=(side, size), mode="bilinear", antialias=side < size)
    return rows[0, 0].contiguous()
