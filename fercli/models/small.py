"""small: a plain convolutional network of 2.3 million parameters for faces of 48 px, designed here.

A stem of stride 2 is followed by pairs of 3x3 convolutions, each with batch norm and ReLU, and max-pooling within the
pairs while the maps are large (Simonyan and Zisserman 2015). All convolutions are dense and have many channels on small
maps, which a CPU runs near its peak; the pooling comes before the norm, which is then four times cheaper. Its recipe
trains at 32 px first: a fully convolutional network with global average pooling accepts any size.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Small(nn.Module):
    """A stem of stride 2, pairs of convolutions, global average pooling, dropout and a linear layer.

    Args:
        classes: Number of emotions.
        stem: Output channels of the stem, a convolution of 4x4 and stride 2.
        widths: Channels of each pair. All pairs but the last halve their input's side, rounded up.
        dropout: Probability of dropout before the classifier.
    """

    def __init__(
        self, classes: int, stem: int = 64, widths: tuple[int, ...] = (128, 256, 256), dropout: float = 0.3
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, stem, 4, 2, 1, bias=False), *_norm(stem)]
        inputs = stem
        for number, width in enumerate(widths, 1):
            layers.append(nn.Conv2d(inputs, width, 3, padding=1, bias=False))
            if number < len(widths):
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            layers += [*_norm(width), nn.Conv2d(width, width, 3, padding=1, bias=False), *_norm(width)]
            inputs = width
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 1, H, W) to logits (B, classes)."""
        logits: Tensor = self.classifier(self.dropout(self.features(x).mean((2, 3))))
        return logits


def _norm(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)


def build(classes: int, **sizes: Any) -> nn.Module:
    """Build small; see the class."""
    return Small(classes, **sizes)
