"""Attention blocks that several architectures share."""

from __future__ import annotations

from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTIONS = ("none", "se", "eca", "cbam")
"""What `create_attention` makes."""


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
        reduction: C / reduction values lie between the two linear layers.
        bias: Of the two layers. ResEmoteNet has none; the Attention + ELU paper's figures count it.
    """

    def __init__(self, channels: int, reduction: int = 16, bias: bool = False) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction, bias=bias)
        self.expand = nn.Linear(channels // reduction, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh each channel of (B, C, H, W) by a value in 0..1."""
        weights = torch.sigmoid(self.expand(torch.relu(self.reduce(x.mean((2, 3))))))
        return x * weights[:, :, None, None]


class EfficientChannelAttention(nn.Module):
    """ECA: channels weighed by their neighbours' means, without a bottleneck (Wang et al. 2020, section 3.2).

    One convolution runs over the channels, without bias; its window grows with their number.

    Args:
        channels: C; the window is |log2(C) / 2 + 1/2| rounded down, and one more where that is even (equation 12).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = int(abs(log2(channels) / 2 + 0.5)) | 1
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh each channel of (B, C, H, W) by a value in 0..1."""
        weights = torch.sigmoid(self.conv(x.mean((2, 3))[:, None]))[:, 0]
        return x * weights[:, :, None, None]


class ChannelAttention(nn.Module):
    """CBAM's channel attention: what to look for (Woo et al. 2018, equation 2).

    Means and maxima of the channels go through the same two linear layers, which have no bias; the sum decides.

    Args:
        channels: C.
        reduction: C / reduction values lie between the two layers.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction, bias=False)
        self.expand = nn.Linear(channels // reduction, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh each channel of (B, C, H, W) by a value in 0..1."""
        # Pooling goes back to one place of a maximum, amax to all that share it: a third slower, and no better.
        highest = F.adaptive_max_pool2d(x, 1).flatten(1)
        reduced = torch.relu(self.reduce(x.mean((2, 3)))) + torch.relu(self.reduce(highest))
        return x * torch.sigmoid(self.expand(reduced))[:, :, None, None]


class ConvolutionalAttention(nn.Module):
    """CBAM, the convolutional block attention module: channels first, then places of what that left (Woo et al. 2018).

    Args:
        channels: C.
        reduction: Of the channel attention.
        kernel: Of the spatial attention.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction)
        self.spatial = SpatialAttention(kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh (B, C, H, W)."""
        refined: Tensor = self.spatial(self.channel(x))
        return refined


BLOCKS = (SpatialAttention, SqueezeExcitation, EfficientChannelAttention, ChannelAttention, ConvolutionalAttention)
"""All of them."""


def create_attention(name: str, channels: int, reduction: int = 16, bias: bool = False) -> nn.Module:
    """Build one of `ATTENTIONS` for C channels; `none` hands its input on and has no weights.

    Args:
        name: Which.
        channels: C.
        reduction: Of squeeze-and-excitation and of CBAM's channel attention.
        bias: Of squeeze-and-excitation.
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
