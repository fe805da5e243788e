"""ResEmoteNet: three convolutions, one squeeze-and-excitation block, three residual blocks (figure 1 of its paper).

Where the paper is silent (biases, dropout, the classifier's widths) this follows its authors' public code as settled
facts: 80,238,599 parameters for seven classes.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.attention import SqueezeExcitation


class ResidualBlock(nn.Module):
    """Two biased 3x3 convolutions with batch norm, the first at stride 2, and a 1x1 shortcut (figure 1c)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H/2, W/2)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def _convolution(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    ]
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class ResEmoteNet(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Args:
        classes: Number of emotions.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(_convolution(3, 64, 0.2), _convolution(64, 128, 0.2), _convolution(128, 256, 0))
        self.se = SqueezeExcitation(256)
        self.blocks = nn.Sequential(ResidualBlock(256, 512), ResidualBlock(512, 1024), ResidualBlock(1024, 2048))
        widths = (2048, 1024, 512, 256)
        hidden: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            hidden += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(0.5)]
        self.classifier = nn.Sequential(*hidden, nn.Linear(widths[-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of faces (B, 3, H, W)."""
        x = self.blocks(self.se(self.features(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def build(classes: int) -> nn.Module:
    """Build ResEmoteNet; see the class."""
    return ResEmoteNet(classes)
