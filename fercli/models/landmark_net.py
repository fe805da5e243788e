"""The feature extractor of MobileFaceNet for facial landmarks (Chen et al. 2018, table 1).

The layer that outputs the landmarks is omitted: POSTER V2 and ARBEx use the maps before it. Parts are named as in
published weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, and PReLU unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu: nn.Module | None = None if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y: Tensor = self.bn(self.conv(x))
        return y if self.prelu is None else self.prelu(y)


class InvertedResidual(nn.Module):
    """MobileNetV2's bottleneck: 1x1 convolution to `hidden` channels, 3x3 depthwise, linear 1x1 convolution.

    At stride 1 the input is added.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = ConvNorm(inputs, hidden)
        self.conv_dw = ConvNorm(hidden, hidden, 3, stride, groups=hidden)
        self.project = ConvNorm(hidden, outputs, linear=True)
        self.residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y: Tensor = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class _Repeated(nn.Module):
    def __init__(self, channels: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(InvertedResidual(channels, channels, hidden) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class LandmarkNet(nn.Module):
    """Landmark features at three scales.

    Args:
        widths: The maps have widths[0], widths[1] and 2 widths[2] channels.
        depths: Residual blocks at each scale.
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256), depths: Sequence[int] = (4, 6, 2)) -> None:
        super().__init__()
        first, second, third = widths
        self.conv1 = ConvNorm(3, first, 3, 2)
        self.conv2_dw = ConvNorm(first, first, 3, groups=first)
        self.conv_23 = InvertedResidual(first, first, 2 * first, 2)
        self.conv_3 = _Repeated(first, 2 * first, depths[0])
        self.conv_34 = InvertedResidual(first, second, 2 * second, 2)
        self.conv_4 = _Repeated(second, 2 * second, depths[1])
        self.conv_45 = InvertedResidual(second, second, 4 * second, 2)
        self.conv_5 = _Repeated(second, 2 * second, depths[2])
        self.conv_6_sep = ConvNorm(second, 2 * third)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of faces (B, 3, S, S): sides S / 4, S / 8 and S / 16."""
        first = self.conv_3(self.conv_23(self.conv2_dw(self.conv1(x))))
        second = self.conv_4(self.conv_34(first))
        return first, second, self.conv_6_sep(self.conv_5(self.conv_45(second)))
