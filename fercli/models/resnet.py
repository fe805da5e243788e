"""ResNets (He et al. 2016), from timm, with attention in each block before the sum, and a choice of activations.

The attention is placed as by squeeze-and-excitation's authors (Hu et al. 2018), which the Attention + ELU paper adopts
for ECA and CBAM (section 3.4); the ResNet50-CBAM paper does not say. Bottleneck blocks have the stride in their 3x3
convolution, as in timm and torchvision. The Attention + ELU paper's code has it in the 1x1 convolution before, and
runs batch norm over the rows of the image; neither is reproduced here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import timm
from torch import nn

from fercli.models.activations import activation_layer
from fercli.models.attention import create_attention


def build(
    classes: int,
    backbone: str = "resnet18",
    attention: str = "none",
    activation: str = "",
    widths: Sequence[int] = (64, 128, 256, 512),
    depths: Sequence[int] | None = None,
) -> nn.Module:
    """Build a ResNet, RGB input.

    Args:
        classes: Number of emotions.
        backbone: resnet18, resnet34, resnet50, resnet101 or resnet152.
        attention: none, se, eca or cbam (reduction 16).
        activation: relu, elu or selu; empty: ReLU.
        widths: Channels of each stage's 3x3 convolutions.
        depths: Blocks of each stage; None: the backbone's.
    """
    sizes: dict[str, Any] = {"channels": tuple(widths), **({"layers": tuple(depths)} if depths else {})}
    if attention != "none":
        sizes["block_args"] = {"attn_layer": _in_block(attention)}
    model: nn.Module = timm.create_model(backbone, num_classes=classes, act_layer=activation_layer(activation), **sizes)
    return model


def _in_block(attention: str) -> Callable[..., nn.Module]:
    """Return timm's `attn_layer` for an attention; it ignores device and dtype, which are not set here."""

    def create(channels: int, **_: object) -> nn.Module:
        return create_attention(attention, channels, bias=True)

    return create
