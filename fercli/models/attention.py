"""Attention blocks that several architectures share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpatialAttention(nn.Module):
    """CBAM's spatial attention: where to look (Woo et al. 2018; EmotionNet, equation 2).

    The map is sigmoid(conv7x7([mean over channels; maximum over channels])), (B, 1, H, W), and multiplies the input.
    The convolution has no bias and no normalisation, as the equation has none.

    Args:
        kernel: Side of the convolution's window, odd.
    """

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def attention(self, x: Tensor) -> Tensor:
        """Return the map of (B, C, H, W), (B, 1, H, W) in 0..1."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return torch.sigmoid(self.conv(pooled))

    def forward(self, x: Tensor) -> Tensor:
        """Weigh (B, C, H, W) by its map."""
        return x * self.attention(x)


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation: which channels count (Hu et al. 2018; ResEmoteNet, equations 2 to 6).

    Args:
        channels: C.
        reduction: C / reduction values lie between the two linear layers, which have no bias.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction, bias=False)
        self.expand = nn.Linear(channels // reduction, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh each channel of (B, C, H, W) by a value in 0..1."""
        weights = torch.sigmoid(self.expand(torch.relu(self.reduce(x.mean((2, 3))))))
        return x * weights[:, :, None, None]
