"""Attention blocks shared by several architectures."""

from __future__ import annotations

from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTIONS = ("none", "se", "eca", "cbam")
"""Names accepted by `create_attention`."""


class SpatialAttention(nn.Module):
    """CBAM's spatial attention: where to look (Woo et al. 2018; EmotionNet, equation 2).

    The map sigmoid(conv7x7([mean over channels; maximum over channels])), (B, 1, H, W), scales the input. As in the
    equation, the convolution has no bias or normalisation.

    Args:
        kernel: Kernel size of the convolution, odd.
    """

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def attention(self, x: Tensor) -> Tensor:
        """Return the attention map (B, 1, H, W), in 0..1, of (B, C, H, W)."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return torch.sigmoid(self.conv(pooled))

    def forward(self, x: Tensor) -> Tensor:
        """Scale (B, C, H, W) by its attention map."""
        return x * self.attention(x)


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018; ResEmoteNet, equations 2 to 6).

    Args:
        channels: C.
        reduction: The bottleneck has C / reduction channels.
        bias: Whether the two layers have a bias. ResEmoteNet has none; the Attention + ELU paper's parameter counts
            include it.
    """

    def __init__(self, channels: int, reduction: int = 16, bias: bool = False) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction, bias=bias)
        self.expand = nn.Linear(channels // reduction, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of (B, C, H, W) by a weight in 0..1."""
        weights = torch.sigmoid(self.expand(torch.relu(self.reduce(x.mean((2, 3))))))
        return x * weights[:, :, None, None]


class EfficientChannelAttention(nn.Module):
    """ECA: channel attention from the means of neighbouring channels, without a bottleneck (Wang et al. 2020, 3.2).

    A single convolution without bias runs over the channels; its kernel size grows with their number.

    Args:
        channels: C; the kernel size is |log2(C) / 2 + 1/2| rounded down, plus one if that is even (equation 12).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = int(abs(log2(channels) / 2 + 0.5)) | 1
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of (B, C, H, W) by a weight in 0..1."""
        weights = torch.sigmoid(self.conv(x.mean((2, 3))[:, None]))[:, 0]
        return x * weights[:, :, None, None]


class ChannelAttention(nn.Module):
    """CBAM's channel attention: what to look for (Woo et al. 2018, equation 2).

    Means and maxima of the channels go through the same two linear layers, without bias, and are summed.

    Args:
        channels: C.
        reduction: The bottleneck has C / reduction channels.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction, bias=False)
        self.expand = nn.Linear(channels // reduction, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of (B, C, H, W) by a weight in 0..1."""
        # Not amax, whose backward pass spreads the gradient over ties: a third slower, and no better.
        maxima = F.adaptive_max_pool2d(x, 1).flatten(1)
        reduced = torch.relu(self.reduce(x.mean((2, 3)))) + torch.relu(self.reduce(maxima))
        return x * torch.sigmoid(self.expand(reduced))[:, :, None, None]


class ConvolutionalAttention(nn.Module):
    """CBAM, the convolutional block attention module: channel attention, then spatial attention (Woo et al. 2018).

    Args:
        channels: C.
        reduction: Reduction of the channel attention.
        kernel: Kernel size of the spatial attention.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction)
        self.spatial = SpatialAttention(kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Scale (B, C, H, W) by both attentions."""
        refined: Tensor = self.spatial(self.channel(x))
        return refined


BLOCKS = (SpatialAttention, SqueezeExcitation, EfficientChannelAttention, ChannelAttention, ConvolutionalAttention)
"""All attention blocks."""


def create_attention(name: str, channels: int, reduction: int = 16, bias: bool = False) -> nn.Module:
    """Build one of `ATTENTIONS`; `none` is the identity.

    Args:
        name: Name of the attention.
        channels: C.
        reduction: Reduction of squeeze-and-excitation and of CBAM's channel attention.
        bias: Whether squeeze-and-excitation has biases.
    """
    match name:
        case "none":
            return nn.Identity()
        case "se":
            return SqueezeExcitation(channels, reduction, bias)
        case "eca":
            return EfficientChannelAttention(channels)
        case "cbam":
            return ConvolutionalAttention(channels, reduction)
    raise ValueError(f"no attention {name!r}; there are {', '.join(ATTENTIONS)}")
