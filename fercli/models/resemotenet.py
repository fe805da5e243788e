"""ResEmoteNet: three convolutions, one squeeze-and-excitation block, three residual blocks (figure 1 of its paper).

Where the paper is silent (biases, dropout, the classifier's widths), this follows its authors' public code: 80,238,599
parameters for seven classes. Its ablations (table IV) omit parts: C2 the attention, C3 and C4 the first one and two
convolutions, C5 and C6 the first one and two residual blocks, after which the next block has 256 input channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fercli.models.attention import SqueezeExcitation
from fercli.models.renaming import rename_parts


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
        channels: Channels of the convolutions, each with a max-pool; dropout follows all but the last.
        blocks: Channels of the residual blocks.
        se: Whether squeeze-and-excitation (reduction 16) follows the convolutions.
        hidden: Widths of the classifier's hidden layers.
    """

    def __init__(
        self,
        classes: int,
        channels: Sequence[int] = (64, 128, 256),
        blocks: Sequence[int] = (512, 1024, 2048),
        se: bool = True,
        hidden: Sequence[int] = (1024, 512, 256),
    ) -> None:
        super().__init__()
        last = len(channels) - 1
        self.features = nn.Sequential(
            *(_convolution(a, b, 0.2 if k < last else 0) for k, (a, b) in enumerate(pairwise((3, *channels))))
        )
        self.se: nn.Module = SqueezeExcitation(channels[-1]) if se else nn.Identity()
        self.blocks = nn.Sequential(*(ResidualBlock(a, b) for a, b in pairwise((channels[-1], *blocks))))
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((blocks[-1], *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(0.5)]
        self.classifier = nn.Sequential(*layers, nn.Linear(hidden[-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes)."""
        x = self.blocks(self.se(self.features(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build ResEmoteNet; see the class."""
    return ResEmoteNet(classes, **sizes)


_THEIRS = {
    **{f"conv{k + 1}": f"features.{k}.0" for k in range(3)},
    **{f"bn{k + 1}": f"features.{k}.1" for k in range(3)},
    **{f"res_block{k + 1}": f"blocks.{k}" for k in range(3)},
    **{f"fc{k + 1}": f"classifier.{3 * k}" for k in range(4)},
    "se.fc.0": "se.reduce",
    "se.fc.2": "se.expand",
}
"""Names of the parts in the authors' public code, mapped to ours."""


def rename(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a state_dict of the authors' public code under our names; None for any other."""
    if "res_block1.conv1.weight" not in state:
        return None
    return rename_parts(state, _THEIRS)
