"""PAtt-Lite: a truncated MobileNet, patches of its features, and attention between them (Ngwe et al. 2023).

Sizes that the paper does not give follow the authors' public code: 1,093,000 parameters for seven classes and 9,664
running statistics. Keras reports their sum, 1,102,664, whether a part is frozen or not.

**Attention.** The authors average the patches of an image first; the attention then treats its input, (B, 32), as one
sequence and mixes each image with the others of its batch. Their code feeds the test images class by class, so that
neighbours reinforce each other; accuracy measured in this way is a property of the file order, not of the model. Here
dense layer, batch norm and attention apply to the patches of one image, (B, patches, 32), before averaging: the same
parameters, and predictions that do not depend on the batch.

**Backbone.** timm's MobileNetV1 has the same layers, ReLU6 and strides as Keras'. Two things differ. For convolutions
with stride 2 Keras pads on the right and the bottom only, timm on all sides: the size is the same, positions shift by
one pixel. And the epsilon of batch norms is 1e-3 in Keras, 1e-5 in timm. Both are kept as in timm, since the weights
available here were trained with it. Both scale pixels to -1..1.

**Other backbones.** The Ensembles paper (section 6.3.2) only says that it tried MobileNetV2 and V3. Its public code
uses MobileNetV2 up to its 96 channels (14 x 14) and MobileNetV3-Large without its last convolution (160 channels,
7 x 7), plain instead of separable convolutions, attention with learned projections, and dropout before the classifier
(its MobileNetV2 defines that layer but does not call it). This module follows it, except for the attention, which runs
across the batch there too.

**Input size.** At 224 px there are 2 x 2 patches. At 128 px and below (MobileNetV3: 256 px, as in that code) there is
only one, which attends to itself alone.
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
ATTENTION_CHANNELS = 32
"""Channels of a patch in the attention."""


@dataclass(frozen=True)
class Backbone:
    """How a MobileNet is truncated, and what follows it.

    Attributes:
        timm: Its name in timm.
        cut: Number of complete stages, and of complete blocks in the next one.
        halved: Whether the depthwise half of another block follows.
        separable: Whether the patch convolutions are separable.
        projected: Whether the attention has learned projections.
        norm: Epsilon and momentum of the batch norm after the dense layer.
        dropout: Dropout probabilities of the patches' channels, of their values, and of the classifier's input.
    """

    timm: str
    cut: tuple[int, int]
    halved: bool
    separable: bool
    projected: bool
    norm: tuple[float, float]
    dropout: tuple[float, float, float]


BACKBONES = {
    # As Keras' batch norm: epsilon 1e-3, momentum 0.99 (0.01 in torch's convention).
    "mobilenetv1": Backbone("mobilenetv1_100", (3, 3), True, True, False, (1e-3, 0.01), (0.0, 0.1, 0.0)),
    "mobilenetv2": Backbone("mobilenetv2_100", (5, 0), False, False, True, (1e-5, 0.1), (0.0, 0.0, 0.2)),
    "mobilenetv3": Backbone("mobilenetv3_large_100", (6, 0), False, False, True, (1e-5, 0.1), (0.0, 0.0, 0.2)),
}


def pad_same(x: Tensor, window: int) -> Tensor:
    """Zero-pad (B, C, H, W) to a multiple of the window, like Keras' "same".

    An odd number of rows or columns is split with the larger part at the end.
    """
    rows, columns = -x.shape[2] % window, -x.shape[3] % window
    return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


class Patches(nn.Module):
    """A convolution whose stride equals its kernel size, then ReLU.

    Sides that are not a multiple of the window are padded ("same"). The authors only pad the first of the two: at
    224 px the second needs no padding, but at other sizes it would lose the border.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        window: Kernel size and stride.
        separable: Depthwise without bias, then 1x1 with bias (Keras' SeparableConv2D).
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

    The scale is initialised with 1; products are not divided by the square root of the dimension.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the patches of each image, (B, patches, values)."""
        weights = (self.scale * (x @ x.transpose(1, 2))).softmax(-1)
        return weights @ x


class ProjectedAttention(nn.Module):
    """Single-head self-attention with learned projections (Vaswani et al. 2017, section 3.2).

    Args:
        values: Channels of a patch.
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
        cut: As in `Backbone`; None: the default of the backbone.
    """

    def __init__(self, classes: int, backbone: str = "mobilenetv1", cut: tuple[int, int] | None = None) -> None:
        super().__init__()
        spec = BACKBONES[backbone]
        self.backbone = _truncate(spec, cut or spec.cut)
        channels = [m.out_channels for m in self.backbone.modules() if isinstance(m, nn.Conv2d)][-1]
        self.patches = nn.Sequential(
            Patches(channels, PATCH_CHANNELS, 4, spec.separable),
            Patches(PATCH_CHANNELS, PATCH_CHANNELS, 2, spec.separable),
            nn.Conv2d(PATCH_CHANNELS, PATCH_CHANNELS, 1),
            nn.ReLU(inplace=True),
        )
        self.channel_dropout = nn.Dropout2d(spec.dropout[0])
        self.patch_dropout = nn.Dropout(spec.dropout[1])
        self.dense = nn.Linear(PATCH_CHANNELS, ATTENTION_CHANNELS)
        self.norm = nn.BatchNorm1d(ATTENTION_CHANNELS, *spec.norm)
        self.attention = ProjectedAttention(ATTENTION_CHANNELS) if spec.projected else DotProductAttention()
        self.dropout = nn.Dropout(spec.dropout[2])
        self.classifier = nn.Linear(ATTENTION_CHANNELS, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (B, 3, H, W) to logits (B, classes)."""
        x = self.channel_dropout(self.patches(self.backbone(x)))
        x = self.patch_dropout(x.flatten(2).transpose(1, 2))  # (B, patches, 256)
        x = F.relu(self.dense(x))
        x = self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        logits: Tensor = self.classifier(self.dropout(self.attention(x).mean(1)))
        return logits


def _truncate(spec: Backbone, cut: tuple[int, int]) -> nn.Sequential:
    """Return the first part of timm's network under timm's names, so that its weights fit."""
    net: Any = timm.create_model(spec.timm, num_classes=0)
    stages, blocks = cut
    kept = list(net.blocks[:stages])
    if blocks:
        last = net.blocks[stages]
        half = OrderedDict(conv_dw=last[blocks].conv_dw, bn1=last[blocks].bn1)  # timm's norms include the ReLU6
        kept.append(nn.Sequential(*last[:blocks], *([nn.Sequential(half)] if spec.halved else [])))
    return nn.Sequential(OrderedDict(conv_stem=net.conv_stem, bn1=net.bn1, blocks=nn.Sequential(*kept)))


def build(classes: int, backbone: str = "mobilenetv1", cut: tuple[int, int] | None = None) -> nn.Module:
    """Build PAtt-Lite; see the class."""
    return PAttLite(classes, backbone, cut)
