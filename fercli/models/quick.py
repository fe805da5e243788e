"""quick: a small residual network for machines without a GPU, designed here.

The first two convolutions reduce a face of 48 px to 12 px; most of the computation is then in dense 3x3 convolutions at
12 and 6 px with 64 and 128 channels, which a CPU runs near its peak. Bottleneck and depthwise blocks with as many
multiplications took twice as long (benchmarks/RESULTS.md). Its recipe takes nine minutes on two cores for FER2013. It
trains at 32 px, then 40, then 48: a fully convolutional network with global average pooling accepts any size.

quick-vgg is a plain network of about the same cost, without shortcuts: a different architecture, for ensembles.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.attention import create_attention

REDUCTION = 8
"""Reduction of the attention: at 64 channels the usual 16 would leave four."""


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """A basic residual block (He et al. 2016) with average pooling in the shortcut (He et al. 2019, ResNet-D)."""

    def __init__(self, inputs: int, outputs: int, stride: int, attention: str = "none") -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, stride=stride)
        self.conv2 = _conv(outputs, outputs)
        # Zero-initialise the last norm, so that each block starts as the identity (Goyal et al. 2017).
        norm = self.conv2[1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.zeros_(norm.weight)
        self.attention = create_attention(attention, outputs, REDUCTION)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            pool = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
            self.shortcut = nn.Sequential(pool, _conv(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""
        y = F.relu(self.conv1(x), inplace=True)
        return F.relu(self.attention(self.conv2(y)) + self.shortcut(x), inplace=True)


class Quick(nn.Module):
    """A stem of stride 4, stages of basic blocks, global average pooling and a linear layer.

    Args:
        classes: Number of emotions.
        attention: none, se, eca or cbam, in each block before the sum.
        widths: Channels of each stage.
        depths: Blocks of each stage.
        inputs: Output channels of the stem.
    """

    def __init__(
        self,
        classes: int,
        attention: str = "none",
        widths: tuple[int, ...] = (64, 128),
        depths: tuple[int, ...] = (1, 2),
        inputs: int = 64,
    ) -> None:
        super().__init__()
        first, second = _conv(1, inputs // 2, stride=2), _conv(inputs // 2, inputs, stride=2)
        self.stem = nn.Sequential(*first, nn.ReLU(inplace=True), *second, nn.ReLU(inplace=True))
        blocks: list[nn.Module] = []
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for number in range(depth):
                blocks.append(Block(inputs, width, 2 if stage and not number else 1, attention))
                inputs = width
        self.stages = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 1, H, W) to logits (B, classes)."""
        logits: Tensor = self.classifier(self.stages(self.stem(x)).mean((2, 3)))
        return logits


class QuickVgg(nn.Module):
    """Plain 3x3 convolutions with batch norm, and max-pooling between stages (Simonyan and Zisserman 2015).

    It has few channels while the maps are large, where a CPU is bound by memory: with 32 and 48 in the first two stages
    a step took half as long again. Global average pooling and one linear layer replace VGG's three.

    Args:
        classes: Number of emotions.
        widths: Channels of each stage's convolutions.
    """

    def __init__(
        self, classes: int, widths: tuple[tuple[int, ...], ...] = ((16,), (32,), (64, 128), (160, 256))
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for stage, outputs in enumerate(widths):
            if stage:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            for width in outputs:
                layers += [*_conv(inputs, width), nn.ReLU(inplace=True)]
                inputs = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 1, H, W) to logits (B, classes)."""
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build quick; see the class."""
    return Quick(classes, **sizes)


def build_vgg(classes: int, **sizes: Any) -> nn.Module:
    """Build quick-vgg; see the class."""
    return QuickVgg(classes, **sizes)
