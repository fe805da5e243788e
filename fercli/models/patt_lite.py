"""PAtt-Lite: a MobileNet cut short, patches of what it sees, and attention between them (Ngwe et al. 2023).

Its parts follow the authors' public code, whose sizes the paper leaves open: 1,093,000 parameters for seven classes
and 9,664 running statistics. Keras counts both in one figure, 1,102,664, whether a part is frozen or not.

**Attention.** The authors average the patches of an image first, and what they hand the attention, (B, 32), it takes
for one sequence: each image is mixed with the others of its batch. Their code feeds the test images one class after the
other, so that neighbours lift each other; a figure measured so is a property of the file's order, not of the model.
Here dense layer, batch norm and attention work on the patches of one image, (B, patches, 32), and the average comes
behind them: the same parameters, and an image's prediction is its own.

**Backbone.** timm's MobileNetV1 has the layers, ReLU6 and stride places of Keras' one. Two things differ. Where a
convolution has stride 2 Keras pads at the right and the bottom alone, timm on all sides: the size is the same, the
places lie one pixel apart. And Keras' batch norms have an epsilon of 1e-3, timm's 1e-5. Weights go with what they were
trained with, and those that can be had here are timm's: so both stay as timm has them. Both scale pixels to -1..1.

**Other backbones.** The Ensembles paper (section 6.3.2) only says that it tried MobileNetV2 and V3. Its public code
takes MobileNetV2 up to its 96 channels (14 x 14) and MobileNetV3-Large without its last convolution (160 channels,
7 x 7), plain convolutions for separable ones, attention with learned projections, and dropout before the classifier
(its MobileNetV2 has that layer and does not call it). Ours follow it, but for the attention, which runs across the
batch there, too.

**Input size.** At 224 px there are 2 x 2 patches. From 128 px down (MobileNetV3: from 256 px down, as in that code)
there is one alone, which has nothing but itself to attend to.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH_CHANNELS = 256
ATTENDED = 32
"""Values of a patch that the attention compares."""


@dataclass(frozen=True)
class Backbone:
    """Where a MobileNet is cut, and what follows it.

    Attributes:
        timm: Its name in timm.
        cut: Number of whole stages, and of whole blocks in the next one.
        halved: Whether the depthwise half of one more block follows.
        separable: Whether the patches come of separable convolutions.
        projected: Whether the attention has learned projections.
        norm: Epsilon and momentum of the batch norm behind the dense layer.
        dropout: Of the patches' channels, of the patches' values, and of what the classifier gets.
    """

    timm: str
    cut: tuple[int, int]
    halved: bool
    separable: bool
    projected: bool
    norm: tuple[float, float]
    dropout: tuple[float, float, float]


BACKBONES = {
    # Keras' batch norm: epsilon 1e-3, and 0.99 of the old statistics kept.
    "mobilenetv1": Backbone("mobilenetv1_100", (3, 3), True, True, False, (1e-3, 0.01), (0.0, 0.1, 0.0)),
    "mobilenetv2": Backbone("mobilenetv2_100", (5, 0), False, False, True, (1e-5, 0.1), (0.0, 0.0, 0.2)),
    "mobilenetv3": Backbone("mobilenetv3_large_100", (6, 0), False, False, True, (1e-5, 0.1), (0.0, 0.0, 0.2)),
}


def pad_same(x: Tensor, window: int) -> Tensor:
    """Pad (B, C, H, W) with zeros to whole windows that lie side by side, as Keras' "same" does.

    Of an odd number of rows or columns the last side gets one more.
    """
    rows, columns = -x.shape[2] % window, -x.shape[3] % window
    return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


class Patches(nn.Module):
    """One place of each window: a convolution whose stride is its window's side, then ReLU.

    Sides that are no multiple of the window are padded ("same"). The authors pad the first of the two so and not the
    second, which at 224 px has whole windows anyway; padded, it loses no border at other sizes.

    Args:
        inputs: Channels of its input.
        outputs: Channels of its output.
        window: Side of the window.
        separable: Each channel by itself, without bias, then a 1x1 convolution with bias (Keras' SeparableConv2D).
    """

    def __init__(self, inputs: int, outputs: int, window: int, separable: bool) -> None:
        super().__init__()
        self.window = window
        if separable:
            self.depthwise: nn.Module = nn.Conv2d(inputs, inputs, window, window, groups=inputs, bias=False)
            self.pointwise: nn.Module = nn.Conv2d(inputs, outputs, 1)
        else:
            self.depthwise, self.pointwise = nn.Identity(), nn.Conv2d(inputs, outputs, window, window)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H/window, W/window), rounded up."""
        return F.relu(self.pointwise(self.depthwise(pad_same(x, self.window))))


class DotProductAttention(nn.Module):
    """Self-attention without projections: softmax(scale x xT) x, with one learned scale (Keras' Attention, use_scale).

    It begins at 1, and nothing is divided by the root of the number of values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the patches of each image, (B, patches, values)."""
        weights = (self.scale * (x @ x.transpose(1, 2))).softmax(-1)
        return weights @ x


class ProjectedAttention(nn.Module):
    """Self-attention of one head with learned projections (Vaswani et al. 2017, section 3.2).

    Args:
        values: Of a patch.
    """

    def __init__(self, values: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(values, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the patches of each image, (B, patches, values)."""
        mixed: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return mixed


class PAttLite(nn.Module):
    """The whole network, RGB input (grey faces repeated to three channels).

    Args:
        classes: Number of emotions.
        backbone: mobilenetv1, mobilenetv2 or mobilenetv3.
        cut: Whole stages of the backbone, and whole blocks of the next one; None: the paper's.
    """

    def __init__(self, classes: int, backbone: str = "mobilenetv1", cut: tuple[int, int] | None = None) -> None:
        super().__init__()
        made = BACKBONES[backbone]
        self.backbone = _cut(made, cut or made.cut)
        channels = [m.out_channels for m in self.backbone.modules() if isinstance(m, nn.Conv2d)][-1]
        self.patches = nn.Sequential(
            Patches(channels, PATCH_CHANNELS, 4, made.separable),
            Patches(PATCH_CHANNELS, PATCH_CHANNELS, 2, made.separable),
            nn.Conv2d(PATCH_CHANNELS, PATCH_CHANNELS, 1),
            nn.ReLU(inplace=True),
        )
        self.channel_dropout = nn.Dropout2d(made.dropout[0])
        self.patch_dropout = nn.Dropout(made.dropout[1])
        self.dense = nn.Linear(PATCH_CHANNELS, ATTENDED)
        self.norm = nn.BatchNorm1d(ATTENDED, *made.norm)
        self.attention = ProjectedAttention(ATTENDED) if made.projected else DotProductAttention()
        self.dropout = nn.Dropout(made.dropout[2])
        self.classifier = nn.Linear(ATTENDED, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of faces (B, 3, H, W)."""
        x = self.channel_dropout(self.patches(self.backbone(x)))
        x = self.patch_dropout(x.flatten(2).transpose(1, 2))  # (B, patches, 256)
        x = F.relu(self.dense(x))
        x = self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        logits: Tensor = self.classifier(self.dropout(self.attention(x).mean(1)))
        return logits


def _cut(made: Backbone, cut: tuple[int, int]) -> nn.Sequential:
    """Return the first part of timm's network under timm's names, so that its weights fit."""
    net: Any = timm.create_model(made.timm, num_classes=0)
    stages, blocks = cut
    kept = list(net.blocks[:stages])
    if blocks:
        last = net.blocks[stages]
        half = OrderedDict(conv_dw=last[blocks].conv_dw, bn1=last[blocks].bn1)  # timm's norms end with their ReLU6
        kept.append(nn.Sequential(*last[:blocks], *([nn.Sequential(half)] if made.halved else [])))
    return nn.Sequential(OrderedDict(conv_stem=net.conv_stem, bn1=net.bn1, blocks=nn.Sequential(*kept)))


def build(classes: int, backbone: str = "mobilenetv1", cut: tuple[int, int] | None = None) -> nn.Module:
    """Build PAtt-Lite; see the class."""
    return PAttLite(classes, backbone, cut)
