"""MixedFeatureNet (MFN), the feature extractor of DDAMFN (Zhang et al. 2023): MobileFaceNet with mixed kernels.

Its bottlenecks use depthwise convolutions of several sizes (MixConv, Tan and Le 2019), followed by coordinate attention
(Hou et al. 2021) instead of a norm and an activation. The sizes are those of its authors' public code. Its layers for
face recognition (the embedding) are omitted, as in DDAMFN. Parts are named as in published weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.landmark_net import ConvNorm

Kernels = Sequence[tuple[int, int]]
"""Sides of the kernels, each with its share of the channels."""


def split_channels(channels: int, kernels: Kernels) -> list[int]:
    """Return the channels of each kernel, in proportion to the shares; the first also gets the remainder."""
    total = sum(share for _, share in kernels)
    parts = [channels * share // total for _, share in kernels]
    return [channels - sum(parts[1:]), *parts[1:]]


class MixConv(nn.ModuleList):
    """Depthwise convolutions with a different kernel for each group of channels, without norm or activation.

    (The authors' class also has a batch norm and a PReLU, which it does not apply.)
    """

    def __init__(self, channels: int, kernels: Kernels, stride: int) -> None:
        parts = split_channels(channels, kernels)
        super().__init__(
            nn.Conv2d(part, part, side, stride, padding=side // 2, groups=part, bias=False)
            for part, (side, _) in zip(parts, kernels, strict=True)
        )
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H / stride, W / stride)."""
        parts = torch.split(x, self.parts, 1)
        return torch.cat([conv(part) for conv, part in zip(self, parts, strict=True)], 1)


class CoordinateMaps(nn.Module):
    """Attention maps from one vector per row and one per column (Hou et al. 2021, equations 6 to 9).

    f = h-swish(norm(W1 [rows, columns])), split again; the map is sigmoid(W2 f_rows) times sigmoid(W3 f_columns).

    Args:
        channels: C. In between there are C / 32 channels, at least 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 32)
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, 1)
        self.conv3 = nn.Conv2d(hidden, channels, 1)

    def maps(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Map the vectors of the rows (B, C, H, 1) and columns (B, C, 1, W) to maps in 0..1, (B, C, H, W)."""
        both = torch.cat([rows, columns.transpose(2, 3)], 2)  # (B, C, H + W, 1)
        both = F.hardswish(self.bn1(self.conv1(both)))
        rows, columns = torch.split(both, [rows.shape[2], columns.shape[3]], 2)
        out: Tensor = torch.sigmoid(self.conv2(rows)) * torch.sigmoid(self.conv3(columns.transpose(2, 3)))
        return out


class CoordinateAttention(CoordinateMaps):
    """Multiplies features by the maps of the averages of their rows and columns."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x * self.maps(x.mean(3, keepdim=True), x.mean(2, keepdim=True))


class MixedBottleneck(nn.Module):
    """1x1 convolution to `hidden` channels, MixConv, coordinate attention, linear 1x1 convolution.

    At stride 1 the input is added.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, kernels: Kernels, stride: int = 1) -> None:
        super().__init__()
        self.conv = ConvNorm(inputs, hidden)
        self.conv_dw = MixConv(hidden, kernels, stride)
        self.attention = CoordinateAttention(hidden)
        self.project = ConvNorm(hidden, outputs, linear=True)
        self.residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y: Tensor = self.project(self.attention(self.conv_dw(self.conv(x))))
        return x + y if self.residual else y


class _Repeated(nn.Module):
    def __init__(self, channels: int, kernels: Kernels, blocks: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(MixedBottleneck(channels, channels, 2 * channels, kernels) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class MixedFeatureNet(nn.Sequential):
    """Maps faces (B, 3, S, S) to features (B, 2 widths[2], S / 16, S / 16).

    Args:
        widths: Channels at a fourth, an eighth and a sixteenth of the side.
        depths: Residual bottlenecks at each of them.
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256), depths: Sequence[int] = (9, 16, 6)) -> None:
        super().__init__()
        first, second, third = widths
        self.conv1 = ConvNorm(3, first, 3, 2)
        self.conv2_dw = ConvNorm(first, first, 3, groups=first)
        self.conv_23 = MixedBottleneck(first, first, 2 * first, ((3, 2), (5, 1), (7, 1)), 2)
        self.conv_3 = _Repeated(first, ((3, 3), (5, 1)), depths[0])
        self.conv_34 = MixedBottleneck(first, second, 2 * second, ((3, 2), (5, 1), (7, 1)), 2)
        self.conv_4 = _Repeated(second, ((3, 3), (5, 1)), depths[1])
        self.conv_45 = MixedBottleneck(second, third, 4 * third, ((3, 1), (5, 1), (7, 1), (9, 1)), 2)
        self.conv_5 = _Repeated(third, ((3, 1), (5, 1), (7, 1)), depths[2])
        self.conv_6_sep = ConvNorm(third, 2 * third)
