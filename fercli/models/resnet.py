"""ResNets (He et al. 2016), from timm, with attention in each block before the sum, and with other activations.

The places of attention are those of squeeze-and-excitation's authors (Hu et al. 2018), which the Attention + ELU paper
keeps for ECA and CBAM (section 3.4); the ResNet50-CBAM paper leaves them open. Its ResNet50 is timm's and torchvision's,
with the stride in the 3x3 convolution. The Attention + ELU paper's code runs batch norm over the rows of the image; ours
runs over the channels, as published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    model: nn.Module = timm.create_model(
        backbone,
        num_classes=classes,
        act_layer=activation_layer(activation),
        channels=tuple(widths),
        block_args={} if attention == "none" else {"attn_layer": _in_block(attention)},
        **({"layers": tuple(depths)} if depths else {}),
    )
    return model


def _in_block(attention: str) -> Callable[..., nn.Module]:
    """Return what timm's blocks make their attention with; it hands device and type along, which are not ours to set."""

    def create(channels: int, **_: object) -> nn.Module:
        return create_attention(attention, channels, bias=True)

    return create
